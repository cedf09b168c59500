/* TFLite's C ABI: tensorflow/lite/core/c/common.h, the same in tflite-runtime 2.14 and ai-edge-litert 2. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int Status;
enum { OK = 0, ERROR = 1, DELEGATE_ERROR = 2 };
enum { ALLOCATION_CONSTANT = 1 };
enum { DELEGATE_OP = 51, ALLOW_DYNAMIC_TENSORS = 1 };

typedef struct {
  int size;
  int data[];
} IntArray;
struct Context;
struct Delegate;
typedef struct {
  int type;
  void *data;
  IntArray *dims;
  float scale;
  int32_t zero_point;
  int allocation_type;
  size_t bytes;
  const void *allocation;
  const char *name;
  struct Delegate *delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  int quantization_type;
  void *quantization, *sparsity;
  const IntArray *dims_signature;
} Tensor;
typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void *custom_initial_data;
  int custom_initial_data_size;
  struct Delegate *delegate;
  bool might_have_side_effect;
} Node;
typedef struct {
  void *(*init)(struct Context *, const char *, size_t);
  void (*free)(struct Context *, void *);
  Status (*prepare)(struct Context *, Node *);
  Status (*invoke)(struct Context *, Node *);
  const char *(*profiling_string)(const struct Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  void *external, *async_kernel;
  uint64_t inplace_operator;
  void *later[8]; /* passed by value, and later runtimes append */
} Registration;
typedef struct Context {
  size_t tensors_size;
  Status (*GetExecutionPlan)(struct Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  Status (*ResizeTensor)(struct Context *, Tensor *, IntArray *);
  void (*ReportError)(struct Context *, const char *, ...);
  Status (*AddTensors)(struct Context *, int, int *);
  Status (*GetNodeAndRegistration)(struct Context *, int, Node **, Registration **);
  Status (*ReplaceNodeSubsetsWithDelegateKernels)(struct Context *, Registration, const IntArray *,
                                                  struct Delegate *);
} Context;
typedef struct Delegate {
  void *data;
  Status (*Prepare)(Context *, struct Delegate *);
  void *copy_from, *copy_to, *free_handle;
  int64_t flags;
  void *opaque;
  void *later[4];
} Delegate;
typedef struct {
  Delegate *delegate;
  IntArray *nodes, *inputs, *outputs;
} DelegateParams;
