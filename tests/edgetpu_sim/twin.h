/* The Python of the process that loaded this library: twin.py, whose path TWIN names. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef struct PyObject PyObject;
extern int PyGILState_Ensure(void);
extern void PyGILState_Release(int);
extern PyObject *PyDict_New(void);
extern PyObject *PyDict_GetItemString(PyObject *, const char *);
extern int PyDict_SetItemString(PyObject *, const char *, PyObject *);
extern PyObject *PyEval_GetBuiltins(void);
extern PyObject *PyRun_String(const char *, int, PyObject *, PyObject *);
extern PyObject *PyObject_CallFunction(PyObject *, const char *, ...);
extern long PyLong_AsLong(PyObject *);
extern void PyErr_Print(void);
extern void Py_DecRef(PyObject *);
enum { FILE_INPUT = 257 };

static const char twin_loader[] =
    "import importlib.util\n"
    "spec = importlib.util.spec_from_file_location('edgetpu_sim_twin', '" TWIN "')\n"
    "module = importlib.util.module_from_spec(spec)\n"
    "spec.loader.exec_module(module)\n"
    "load, run, drop = module.load, module.run, module.drop\n";

/* One of twin.py's functions; the interpreter lock is held. NULL after a printed exception. */
static PyObject *twin_function(const char *name) {
  static PyObject *globals;
  if (!globals) {
    PyObject *fresh = PyDict_New();
    PyDict_SetItemString(fresh, "__builtins__", PyEval_GetBuiltins());
    PyObject *done = PyRun_String(twin_loader, FILE_INPUT, fresh, fresh);
    if (!done) {
      PyErr_Print();
      Py_DecRef(fresh);
      return NULL;
    }
    Py_DecRef(done);
    globals = fresh;
  }
  return PyDict_GetItemString(globals, name);
}

static long result(PyObject *answer) {
  if (!answer) {
    PyErr_Print();
    return -1;
  }
  long value = PyLong_AsLong(answer);
  Py_DecRef(answer);
  return value;
}

struct memory {
  void *start;
  size_t bytes;
};

/* A number for the interpreter of this model, or -1. `runtime` is the file of the runtime that asks. */
static long twin_load(const char *path, const char *runtime) {
  int lock = PyGILState_Ensure();
  PyObject *function = twin_function("load");
  long twin = function ? result(PyObject_CallFunction(function, "ss", path, runtime)) : -1;
  PyGILState_Release(lock);
  return twin;
}

static long twin_run(long twin, const struct memory *in, int ins, const struct memory *out, int outs) {
  int lock = PyGILState_Ensure();
  PyObject *function = twin_function("run");
  long status = function ? result(PyObject_CallFunction(function, "lKiKi", twin, (unsigned long long)(uintptr_t)in,
                                                        ins, (unsigned long long)(uintptr_t)out, outs))
                         : -1;
  PyGILState_Release(lock);
  return status;
}

static void twin_drop(long twin) {
  int lock = PyGILState_Ensure();
  PyObject *function = twin_function("drop");
  if (function) result(PyObject_CallFunction(function, "l", twin));
  PyGILState_Release(lock);
}
