/* A libedgetpu that breaks in other ways than the simulated one: it lists one device, and what it does with it
 * stands in the file SHOAL_CONTRARY.
 *
 *   zeros                 opens, and answers nothing but zeros
 *   report                does not open, and calls back with a reason
 *   abort, exit           ends the process while it opens
 *   spam                  as zeros, after ten megabytes on standard error and on standard output
 *   endless               does not open, and says so without end
 *   invoke-error          an invocation fails without a word
 *   invoke-exit           an invocation ends the process with status 1
 *   invoke-abort          an invocation aborts
 *   destroy               as zeros, and crashes when the delegate is given back
 *   untouched             claims no operator
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tflite_abi.h"

#define EXPORT __attribute__((visibility("default")))

static bool is(const char *mode) {
  char text[32] = "";
  const char *path = getenv("SHOAL_CONTRARY");
  FILE *file = path ? fopen(path, "re") : NULL;
  if (!file) return false;
  if (!fgets(text, sizeof text, file)) text[0] = 0;
  fclose(file);
  text[strcspn(text, "\n")] = 0;
  return !strcmp(text, mode);
}

static void chatter(int fd, long lines) {
  static const char line[] = "W driver/usb/usb_driver.cc:1 a line that nobody needs, and another one, and another one\n";
  for (long i = 0; i < lines; i++)
    if (write(fd, line, sizeof line - 1) < 0) return;
}

static void *kernel_init(Context *context, const char *buffer, size_t length) {
  (void)context, (void)buffer, (void)length;
  return malloc(1);
}
static void kernel_free(Context *context, void *data) {
  (void)context;
  free(data);
}
static Status kernel_prepare(Context *context, Node *node) {
  (void)context, (void)node;
  return OK;
}
static Status kernel_invoke(Context *context, Node *node) {
  if (is("invoke-error")) return ERROR;
  if (is("invoke-exit")) exit(1);
  if (is("invoke-abort")) abort();
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor *out = &context->tensors[node->outputs->data[i]];
    memset(out->data, 0, out->bytes);
  }
  return OK;
}

static Status delegate_prepare(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (is("untouched")) return OK;
  if (context->GetExecutionPlan(context, &plan)) return ERROR;
  size_t size = sizeof(int) * (size_t)(1 + plan->size);
  IntArray *all = memcpy(malloc(size), plan, size);
  Registration kernel;
  memset(&kernel, 0, sizeof kernel);
  kernel.init = kernel_init, kernel.free = kernel_free;
  kernel.prepare = kernel_prepare, kernel.invoke = kernel_invoke;
  kernel.builtin_code = DELEGATE_OP, kernel.custom_name = "Contrary", kernel.version = 1;
  Status status = context->ReplaceNodeSubsetsWithDelegateKernels(context, kernel, all, delegate);
  free(all);
  return status;
}

EXPORT Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count,
                                               void (*report)(const char *)) {
  (void)keys, (void)values, (void)count;
  if (is("report")) {
    report("the contrary device does not feel like it");
    return NULL;
  }
  if (is("abort")) abort();
  if (is("exit")) exit(1);
  while (is("endless")) chatter(2, 10000);
  if (is("spam")) chatter(2, 110000), chatter(1, 110000);
  Delegate *delegate = calloc(1, sizeof *delegate);
  delegate->Prepare = delegate_prepare;
  delegate->flags = ALLOW_DYNAMIC_TENSORS;
  return delegate;
}
EXPORT void tflite_plugin_destroy_delegate(Delegate *delegate) {
  if (is("destroy")) raise(SIGSEGV);
  free(delegate);
}

struct edgetpu_device {
  int type;
  const char *path;
};
EXPORT struct edgetpu_device *edgetpu_list_devices(size_t *count) {
  static struct edgetpu_device one = {1, "/sys/bus/usb/devices/contrary"};
  *count = 1;
  return &one;
}
EXPORT void edgetpu_free_devices(struct edgetpu_device *devices) { (void)devices; }
EXPORT const char *edgetpu_version(void) { return "contrary"; }
