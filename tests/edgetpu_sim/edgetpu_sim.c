/* A libedgetpu without hardware: the same exported interface, over devices that a file describes.
 *
 * It claims every `edgetpu-custom-op` and computes it with the model that was compiled into it, which the
 * Python process that loaded this library interprets (twin.py).
 *
 *   SHOAL_EDGETPU_SIM_STATE   the file; each line `key value`, read again at every call:
 *     usb N, pci N            how many devices are plugged in; one less in the middle of a run is a loss
 *     open_ms, invoke_us      how long opening and each invocation take
 *     loss abort|error        a lost device aborts the process, as the real library does, or fails the invocation
 *     fault none|create|prepare|datatype|version
 *                             a crash in one of the two, as of an ABI mismatch; the real library's refusals
 *     mute N                  1: no device opens, and no word is said
 *     hang N                  1: an invocation does not return
 *   SHOAL_EDGETPU_SIM_TWINS   the folder of the twins, `<key of the custom op>.tflite`
 *   SHOAL_EDGETPU_SIM_OPTIONS a file to which each attempt to open a device appends its options, where the
 *                             process may write
 *
 * A device is a file beside the state, `<state>.usb0`; a process that has it open holds its lock.
 * Compiled with BARE, it is a libedgetpu that no interpreter can use: it lacks the plugin's two functions.
 * Compiled with UNLISTED, it lacks those of edgetpu_c.h.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "devices.h"

/* The key of a custom op: FNV-1a of 64 bits, by Fowler, Noll and Vo. */
EXPORT uint64_t edgetpu_sim_key(const void *options, size_t size) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < size; i++) hash = (hash ^ ((const unsigned char *)options)[i]) * 1099511628211u;
  return hash;
}

#ifndef BARE

#define MAX_OPEN 32
#define MAX_TENSORS 64

#include "tflite_abi.h"
#include "twin.h"

static void rest(long microseconds) {
  struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000};
  while (microseconds > 0 && nanosleep(&left, &left)) { /* interrupted: the rest of it */ }
}

static void crash(void) { raise(SIGSEGV); }

/* Devices that this process has open: shared by all delegates in it, as in the real library */

struct open_device {
  enum bus bus;
  int number, lock, users;
  char path[512];
};
static struct open_device opened[MAX_OPEN];

static struct open_device *device_open(enum bus bus, int number) {
  char path[512];
  device_path(path, sizeof path, bus, number);
  struct open_device *unused = NULL;
  for (struct open_device *device = opened; device < opened + MAX_OPEN; device++) {
    if (!device->users) {
      unused = device;
    } else if (!strcmp(device->path, path)) {
      device->users++;
      return device;
    }
  }
  int lock = unused ? open(path, O_RDONLY | O_CLOEXEC) : -1; /* a caged process may write nothing */
  if (lock < 0) return NULL;
  if (flock(lock, LOCK_EX | LOCK_NB)) {
    close(lock);
    return NULL;
  }
  *unused = (struct open_device){.bus = bus, .number = number, .lock = lock, .users = 1};
  memcpy(unused->path, path, sizeof path);
  return unused;
}

static void device_close(struct open_device *device) {
  if (!--device->users) close(device->lock);
}

/* The kernel: one compiled operator */

typedef struct {
  struct open_device *device;
  IntArray *inputs, *outputs;
  long twin;
} Kernel;

static IntArray *copied(const IntArray *array) {
  size_t size = sizeof(int) * (size_t)(1 + array->size);
  return memcpy(malloc(size), array, size);
}

static const char *loaded_from(const Context *context) {
  union {
    Status (*function)(struct Context *, IntArray **);
    const void *address;
  } where = {context->GetExecutionPlan};
  Dl_info info;
  return dladdr(where.address, &info) && info.dli_fname ? info.dli_fname : "";
}

static void *kernel_init(Context *context, const char *buffer, size_t length) {
  (void)length;
  const DelegateParams *params = (const void *)buffer;
  Node *node;
  Registration *registration;
  /* The runtime sorts the tensors of `params`; those of the node are in the model's order. */
  if (context->GetNodeAndRegistration(context, params->nodes->data[0], &node, &registration)) return NULL;
  Kernel *kernel = calloc(1, sizeof *kernel);
  kernel->device = params->delegate->data;
  kernel->inputs = copied(node->inputs);
  kernel->outputs = copied(node->outputs);
  uint64_t key = edgetpu_sim_key(node->custom_initial_data, (size_t)node->custom_initial_data_size);
  const char *folder = getenv("SHOAL_EDGETPU_SIM_TWINS");
  char path[512];
  snprintf(path, sizeof path, "%s/%016llx.tflite", folder ? folder : "", (unsigned long long)key);
  kernel->twin = twin_load(path, loaded_from(context));
  return kernel;
}

static void kernel_free(Context *context, void *data) {
  (void)context;
  Kernel *kernel = data;
  if (!kernel) return;
  if (kernel->twin >= 0) twin_drop(kernel->twin);
  free(kernel->inputs);
  free(kernel->outputs);
  free(kernel);
}

static Status kernel_prepare(Context *context, Node *node) {
  struct state state;
  state_read(&state);
  if (!strcmp(state.fault, "prepare")) crash();
  if (!strcmp(state.fault, "datatype")) {
    context->ReportError(context, "Internal: Unsupported data type in custom op handler: 5632");
    return ERROR;
  }
  if (!strcmp(state.fault, "version")) {
    context->ReportError(context, "Failed precondition: Package requires runtime version (14), which is newer than this "
                                  "runtime version (13).");
    return ERROR;
  }
  Kernel *kernel = node->user_data;
  if (kernel && kernel->twin >= 0) return OK;
  context->ReportError(context, "edgetpu_sim: no twin of this operator in SHOAL_EDGETPU_SIM_TWINS");
  return ERROR;
}

static int memories(Context *context, const IntArray *indices, struct memory *found) {
  int count = 0;
  for (int i = 0; i < indices->size && count < MAX_TENSORS; i++) {
    Tensor *tensor = &context->tensors[indices->data[i]];
    if (tensor->allocation_type == ALLOCATION_CONSTANT || tensor->is_variable) continue;
    found[count++] = (struct memory){tensor->data, tensor->bytes};
  }
  return count;
}

static Status kernel_invoke(Context *context, Node *node) {
  Kernel *kernel = node->user_data;
  struct state state;
  state_read(&state);
  if (state.plugged[kernel->device->bus] <= kernel->device->number) {
    if (strcmp(state.loss, "error")) {
      fputs("F driver/usb/usb_driver.cc:857] transfer on tag 2 failed. Abort. Deadline exceeded: USB transfer error 2 "
            "[LibUsbDataOutCallback]\n", stderr);
      abort();
    }
    context->ReportError(context, "Deadline exceeded: USB transfer error 2 [LibUsbDataOutCallback]");
    return DELEGATE_ERROR;
  }
  while (state.hang) rest(1000000);
  rest(state.invoke_us);
  struct memory in[MAX_TENSORS], out[MAX_TENSORS];
  int ins = memories(context, kernel->inputs, in), outs = memories(context, kernel->outputs, out);
  if (!twin_run(kernel->twin, in, ins, out, outs)) return OK;
  context->ReportError(context, "edgetpu_sim: the twin failed");
  return DELEGATE_ERROR;
}

/* The delegate */

static Status delegate_prepare(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (context->GetExecutionPlan(context, &plan)) return ERROR;
  IntArray *wanted = copied(plan), *walk = copied(plan); /* the runtime reuses the plan's memory */
  wanted->size = 0;
  for (int i = 0; i < walk->size; i++) {
    Node *node;
    Registration *registration;
    if (context->GetNodeAndRegistration(context, walk->data[i], &node, &registration)) continue;
    if (registration->custom_name && !strcmp(registration->custom_name, "edgetpu-custom-op"))
      wanted->data[wanted->size++] = walk->data[i];
  }
  Registration kernel;
  memset(&kernel, 0, sizeof kernel);
  kernel.init = kernel_init;
  kernel.free = kernel_free;
  kernel.prepare = kernel_prepare;
  kernel.invoke = kernel_invoke;
  kernel.builtin_code = DELEGATE_OP;
  kernel.custom_name = "EdgeTpuDelegateForCustomOp";
  kernel.version = 1;
  Status status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, wanted, delegate);
  free(wanted);
  free(walk);
  return status;
}

/* Whether `device` means this one; `index` counts all that came before it. */
static bool means(const char *device, enum bus bus, int number, int index) {
  char exact[16];
  if (!*device || !strcmp(device, bus_names[bus])) return true;
  snprintf(exact, sizeof exact, ":%d", index);
  if (!strcmp(device, exact)) return true;
  snprintf(exact, sizeof exact, "%s:%d", bus_names[bus], number);
  return !strcmp(device, exact);
}

static struct open_device *device_found(const char *device) {
  struct state state;
  state_read(&state);
  rest(state.open_ms * 1000);
  if (!strcmp(state.fault, "create")) crash();
  if (state.mute) return NULL;
  int index = 0;
  for (int bus = PCI; bus <= USB; bus++)
    for (int number = 0; number < state.plugged[bus]; number++, index++)
      if (means(device, (enum bus)bus, number, index)) {
        struct open_device *found = device_open((enum bus)bus, number);
        if (found) return found;
      }
  return NULL;
}

static void note(char **keys, char **values, size_t count) {
  const char *path = getenv("SHOAL_EDGETPU_SIM_OPTIONS");
  FILE *file = path ? fopen(path, "ae") : NULL;
  if (!file) return;
  for (size_t i = 0; i < count; i++) fprintf(file, "%s=%s ", keys[i], values[i]);
  fputc('\n', file);
  fclose(file);
}

EXPORT Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                               void (*report)(const char *)) {
  (void)report; /* the real library never calls it either */
  const char *device = "";
  note(keys, values, count);
  for (size_t i = 0; i < count; i++)
    if (!strcmp(keys[i], "device")) device = values[i];
  struct open_device *found = device_found(device);
  if (!found) return NULL;
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->data = found;
  delegate->Prepare = delegate_prepare;
  /* Without it the runtime prepares the still unresolved operator first, and fails. */
  delegate->flags = ALLOW_DYNAMIC_TENSORS;
  return delegate;
}

EXPORT void tflite_plugin_destroy_delegate(Delegate *delegate) {
  if (!delegate) return;
  device_close(delegate->data);
  free(delegate);
}

#endif
