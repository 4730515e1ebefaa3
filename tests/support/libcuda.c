/* A stand-in for NVIDIA's driver whose device memory is the host's. Its functions are declared by NVIDIA's own header,
 * so a wrong name or argument fails to compile or is caught below; every address must lie in allocated memory. */
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition, error) do { if (!(condition)) return error; } while (0)
#define ALLOCATIONS 4096

typedef struct { char *start; size_t bytes; int on_device; } Allocation;
typedef struct Operation {
    char *to;
    const char *from;
    size_t bytes;
    int value;
    void (*call)(void);
    long long *count;
    struct Operation *next;
} Operation;

static Allocation allocations[ALLOCATIONS];
static int devices = 1, capturing, stream_made;
static Operation *recorded, **behind;
static __thread CUcontext current;
long long uploaded, downloaded, launches, graphs;

/* What tests read and set. */
void set_devices(int count) { devices = count; }
long long allocated(void) {
    long long total = 0;
    for (int i = 0; i < ALLOCATIONS; i++) total += allocations[i].bytes;
    return total;
}

static CUresult room(size_t bytes, int on_device, char **start) {
    EXPECT(current, CUDA_ERROR_INVALID_CONTEXT);
    EXPECT(bytes > 0, CUDA_ERROR_INVALID_VALUE);
    EXPECT(bytes < (size_t)1 << 40, CUDA_ERROR_OUT_OF_MEMORY);
    for (int i = 0; i < ALLOCATIONS; i++) {
        if (allocations[i].bytes) continue;
        *start = aligned_alloc(256, (bytes + 255) / 256 * 256);
        memset(*start, 0xA5, bytes); /* nothing may rely on zeros */
        allocations[i] = (Allocation){*start, bytes, on_device};
        return CUDA_SUCCESS;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult give_back(char *start, int on_device) {
    EXPECT(current, CUDA_ERROR_INVALID_CONTEXT);
    for (int i = 0; i < ALLOCATIONS; i++)
        if (allocations[i].bytes && allocations[i].start == start && allocations[i].on_device == on_device) {
            free(start);
            allocations[i].bytes = 0;
            return CUDA_SUCCESS;
        }
    return CUDA_ERROR_INVALID_VALUE;
}

static int inside(const char *start, size_t bytes, int on_device) {
    for (int i = 0; i < ALLOCATIONS; i++) {
        Allocation *a = &allocations[i];
        if (a->bytes && a->on_device == on_device && start >= a->start && start + bytes <= a->start + a->bytes) return 1;
    }
    return 0;
}

static void perform(const Operation *o) {
    if (o->count) *o->count += o->bytes;
    if (o->call) o->call();
    else if (o->from) memcpy(o->to, o->from, o->bytes);
    else memset(o->to, o->value, o->bytes);
}

static CUresult enqueue(CUstream stream, Operation o) {
    EXPECT(current, CUDA_ERROR_INVALID_CONTEXT);
    EXPECT(stream == (CUstream)&stream_made, CUDA_ERROR_INVALID_HANDLE);
    if (!capturing) { perform(&o); return CUDA_SUCCESS; }
    *behind = malloc(sizeof o);
    **behind = o;
    behind = &(*behind)->next;
    return CUDA_SUCCESS;
}

/* For TensorRT's stand-in: its work on the stream. */
CUresult enqueue_call(CUstream stream, void (*call)(void)) { return enqueue(stream, (Operation){.call = call}); }

CUresult cuInit(unsigned int flags) { return flags ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS; }
CUresult cuGetErrorString(CUresult error, const char **words) {
    *words = error == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : error == CUDA_ERROR_INVALID_VALUE ? "invalid argument" : "other";
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int *count) { *count = devices; return CUDA_SUCCESS; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = 7 + ordinal; return CUDA_SUCCESS; }
CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    EXPECT(device == 7 && length > 16, CUDA_ERROR_INVALID_DEVICE);
    strcpy(name, "Stand-in 4090");
    return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute what, CUdevice device) {
    EXPECT(device == 7, CUDA_ERROR_INVALID_DEVICE);
    if (what == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) *value = 8;
    else if (what == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) *value = 9;
    else return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    EXPECT(device == 7, CUDA_ERROR_INVALID_DEVICE);
    *context = (CUcontext)&devices;
    return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) {
    EXPECT(context == (CUcontext)&devices, CUDA_ERROR_INVALID_CONTEXT);
    current = context;
    return CUDA_SUCCESS;
}
CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
    EXPECT(flags == CU_STREAM_NON_BLOCKING, CUDA_ERROR_INVALID_VALUE);
    *stream = (CUstream)&stream_made;
    return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream stream) {
    EXPECT(stream == (CUstream)&stream_made && !capturing, CUDA_ERROR_INVALID_HANDLE);
    return CUDA_SUCCESS;
}
CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes) { return room(bytes, 1, (char **)address); }
CUresult cuMemFree(CUdeviceptr address) { return give_back((char *)address, 1); }
CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned int flags) {
    EXPECT(flags == 0, CUDA_ERROR_INVALID_VALUE);
    return room(bytes, 0, (char **)address);
}
CUresult cuMemFreeHost(void *address) { return give_back(address, 0); }
CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    EXPECT(inside((char *)to, bytes, 1) && inside(from, bytes, 0), CUDA_ERROR_INVALID_VALUE);
    return enqueue(stream, (Operation){.to = (char *)to, .from = from, .bytes = bytes, .count = &uploaded});
}
CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    EXPECT(inside(to, bytes, 0) && inside((char *)from, bytes, 1), CUDA_ERROR_INVALID_VALUE);
    return enqueue(stream, (Operation){.to = to, .from = (char *)from, .bytes = bytes, .count = &downloaded});
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, CUstream stream) {
    EXPECT(inside((char *)to, bytes, 1), CUDA_ERROR_INVALID_VALUE);
    return enqueue(stream, (Operation){.to = (char *)to, .value = value, .bytes = bytes});
}
CUresult cuStreamBeginCapture(CUstream stream, CUstreamCaptureMode mode) {
    EXPECT(stream == (CUstream)&stream_made && !capturing, CUDA_ERROR_ILLEGAL_STATE);
    EXPECT(mode == CU_STREAM_CAPTURE_MODE_RELAXED, CUDA_ERROR_INVALID_VALUE);
    capturing = 1;
    recorded = NULL;
    behind = &recorded;
    return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    EXPECT(stream == (CUstream)&stream_made && capturing, CUDA_ERROR_ILLEGAL_STATE);
    capturing = 0;
    *graph = (CUgraph)recorded;
    return CUDA_SUCCESS;
}
CUresult cuGraphInstantiate(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
    EXPECT(graph && !flags, CUDA_ERROR_INVALID_VALUE);
    *executable = (CUgraphExec)graph;
    graphs++;
    return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) { return graph ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE; }
CUresult cuGraphExecDestroy(CUgraphExec executable) {
    for (Operation *o = (Operation *)executable, *next; o; o = next) { next = o->next; free(o); }
    graphs--;
    return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    EXPECT(current && stream == (CUstream)&stream_made && executable, CUDA_ERROR_INVALID_HANDLE);
    launches++;
    for (Operation *o = (Operation *)executable; o; o = o->next) {
        if (o->to && o->from && !(inside(o->to, o->bytes, 0) || inside(o->to, o->bytes, 1))) return CUDA_ERROR_INVALID_VALUE;
        perform(o);
    }
    return CUDA_SUCCESS;
}
