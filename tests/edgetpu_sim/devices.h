/* What is plugged in, as the state file says it, and edgetpu_c.h of libedgetpu. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum bus { PCI = 0, USB = 1 }; /* enum edgetpu_device_type */
static const char *const bus_names[] = {"pci", "usb"};

/* The state file */

struct state {
  int plugged[2];
  long open_ms, invoke_us;
  int mute, hang;
  char loss[16], fault[16];
};

static void state_read(struct state *state) {
  char line[128], key[32], value[32];
  memset(state, 0, sizeof *state);
  const char *path = getenv("SHOAL_EDGETPU_SIM_STATE");
  FILE *file = path ? fopen(path, "re") : NULL;
  if (!file) return;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "%31s %31s", key, value) != 2) continue;
    if (!strcmp(key, "usb")) state->plugged[USB] = atoi(value);
    else if (!strcmp(key, "pci")) state->plugged[PCI] = atoi(value);
    else if (!strcmp(key, "open_ms")) state->open_ms = atol(value);
    else if (!strcmp(key, "invoke_us")) state->invoke_us = atol(value);
    else if (!strcmp(key, "mute")) state->mute = atoi(value);
    else if (!strcmp(key, "hang")) state->hang = atoi(value);
    else if (!strcmp(key, "loss")) snprintf(state->loss, sizeof state->loss, "%.15s", value);
    else if (!strcmp(key, "fault")) snprintf(state->fault, sizeof state->fault, "%.15s", value);
  }
  fclose(file);
}

static void device_path(char *path, size_t size, enum bus bus, int number) {
  const char *state = getenv("SHOAL_EDGETPU_SIM_STATE");
  snprintf(path, size, "%s.%s%d", state ? state : "", bus_names[bus], number);
}

/* edgetpu_c.h */

#ifndef UNLISTED

struct edgetpu_device {
  enum bus type;
  const char *path;
};

EXPORT struct edgetpu_device *edgetpu_list_devices(size_t *count) {
  struct state state;
  state_read(&state);
  size_t total = 0;
  for (int bus = PCI; bus <= USB; bus++) total += (size_t)state.plugged[bus];
  *count = total;
  if (!total) return NULL;
  char path[512];
  struct edgetpu_device *devices = malloc(total * (sizeof *devices + sizeof path));
  char *paths = (char *)(devices + total);
  size_t index = 0;
  for (int bus = PCI; bus <= USB; bus++)
    for (int number = 0; number < state.plugged[bus]; number++, index++) {
      char *own = paths + index * sizeof path;
      device_path(own, sizeof path, (enum bus)bus, number);
      devices[index] = (struct edgetpu_device){(enum bus)bus, own};
    }
  return devices;
}
EXPORT void edgetpu_free_devices(struct edgetpu_device *devices) { free(devices); }
EXPORT const char *edgetpu_version(void) {
  return "BuildLabel(COMPILER=gcc,DATE=redacted,TIME=redacted,CL_NUMBER=0), RuntimeVersion(14)";
}
EXPORT void edgetpu_verbosity(int level) { (void)level; }

#endif
