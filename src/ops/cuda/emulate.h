// Runs the kernels' own text on the CPU: what the card's compiler and hardware provide, for the tests.
//
// A thread is a fiber; blocks run one after another. A warp's collective operations (shuffles, tensor-core products, tile
// loads) exchange values among its 32 fibers, a barrier waits for the whole block. What hides errors on a CPU is made
// visible: shared memory starts as NaNs, asynchronous copies land only when they are waited for, the order in which threads
// run can be reversed (a missing barrier then changes the result), and a barrier that not all reach is reported.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <utility>
#include <vector>

#define __device__ inline
#define __forceinline__
#define __global__
#define __launch_bounds__(...)
#define __shared__ static
#define KERNEL extern "C" void
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(emulated_shared)

struct Three { unsigned x, y, z; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct float4 { float x, y, z, w; };
static inline float4 make_float4(float x, float y, float z, float w) { return float4{x, y, z, w}; }

static inline float __uint_as_float(unsigned x) { float f; memcpy(&f, &x, 4); return f; }
static inline unsigned __float_as_uint(float f) { unsigned x; memcpy(&x, &f, 4); return x; }
#define __expf expf
static inline float __fadd_rn(float a, float b) { volatile float c = a + b; return c; }
static inline float __fmul_rn(float a, float b) { volatile float c = a * b; return c; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }

static inline unsigned round_to_bf16(float x) {
    unsigned bits = __float_as_uint(x);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// ---- fibers -------------------------------------------------------------------------------------------------------

struct Copy { void* to; uint4 value; };
struct Fiber {
    void* stack_pointer;
    char* stack;
    Three index;
    unsigned lane, warp, collectives;
    bool done, at_barrier;
    std::vector<std::vector<Copy>> copies;
    std::vector<Copy> open;
};
struct Warp {
    unsigned arrived[2], lanes;
    // What lanes give to a collective; two of them, as a lane can be one ahead of another.
    alignas(16) unsigned char slots[2][32][48];
};

static Fiber* current;
static void* scheduler;
static std::vector<Fiber> fibers;
static std::vector<Warp> warps;
static unsigned char* emulated_shared;
static Three block_index, block_size, grid_size;
static void (*body)(void*);
static void* body_data;
static unsigned long long progress;

#define threadIdx (current->index)
#define blockIdx block_index
#define blockDim block_size
#define gridDim grid_size

#if defined(__x86_64__)
extern "C" void emulator_switch(void** save, void* load);
asm(R"(
.text
.globl emulator_switch
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
#else
#error "the emulator switches fibers by hand, for x86-64 only"
#endif

static const size_t STACK = 64 * 1024;
static const size_t SHARED_LIMIT = 232 * 1024;

static void yield() { emulator_switch(&current->stack_pointer, scheduler); }

extern "C" void emulator_fiber() {
    body(body_data);
    current->done = true;
    progress++;
    yield();
    abort();
}

static void __syncthreads() {
    current->at_barrier = true;
    progress++;
    while (current->at_barrier) yield();
}

// Gives `mine` to the warp, waits for the other lanes, and returns all that they gave.
static unsigned char (*exchange(const void* mine, size_t size))[48] {
    Warp& w = warps[current->warp];
    const unsigned generation = current->collectives++, slot = generation & 1;
    memcpy(w.slots[slot][current->lane], mine, size);
    w.arrived[slot]++;
    progress++;
    // Counts are never reset: the n-th use of a slot is complete when n times all lanes have come.
    while (w.arrived[slot] < w.lanes * (generation / 2 + 1)) yield();
    return w.slots[slot];
}

template <class T> static T __shfl_xor_sync(unsigned, T value, int mask) {
    unsigned char(*all)[48] = exchange(&value, sizeof value);
    T other;
    memcpy(&other, all[current->lane ^ mask], sizeof other);
    return other;
}

// ---- the tensor core ----------------------------------------------------------------------------------------------

static inline float half_of(unsigned word, int high) { return __uint_as_float(high ? word & 0xffff0000u : word << 16); }

static void emulated_mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    unsigned mine[6] = {a[0], a[1], a[2], a[3], b0, b1};
    unsigned char(*all)[48] = exchange(mine, sizeof mine);
    const int g = current->lane / 4, t = current->lane % 4;
    for (int out = 0; out < 4; out++) {
        const int row = g + out / 2 * 8, column = 2 * t + out % 2;
        float sum = 0.0f;
        for (int k = 0; k < 16; k++) {
            // Where the PTX manual's fragment tables put A(row, k) and B(k, column).
            const unsigned* left = reinterpret_cast<unsigned*>(all[row % 8 * 4 + k % 8 / 2]);
            const unsigned* right = reinterpret_cast<unsigned*>(all[column * 4 + k % 8 / 2]);
            sum += half_of(left[row / 8 + k / 8 * 2], k % 2) * half_of(right[4 + k / 8], k % 2);
        }
        c[out] += sum;
    }
}

static void emulated_load_tiles(unsigned (&r)[4], const void* row, bool transposed) {
    if (reinterpret_cast<uintptr_t>(row) % 16) { fprintf(stderr, "a tile's row is not aligned to 16 bytes\n"); abort(); }
    unsigned char(*all)[48] = exchange(&row, sizeof row);
    const int g = current->lane / 4, t = current->lane % 4;
    for (int i = 0; i < 4; i++) {
        unsigned short pair[2];
        for (int j = 0; j < 2; j++) {
            const int from = transposed ? 2 * t + j : g, column = transposed ? g : 2 * t + j;
            const unsigned short* values;
            memcpy(&values, all[8 * i + from], sizeof values);
            pair[j] = values[column];
        }
        r[i] = pair[0] | unsigned(pair[1]) << 16;
    }
    // A lane must not overwrite shared memory that another still reads here.
    exchange(&row, sizeof row);
}

static void emulated_copy_async(void* to, const void* from, bool present) {
    if (reinterpret_cast<uintptr_t>(to) % 16 || reinterpret_cast<uintptr_t>(from) % 16) { fprintf(stderr, "an asynchronous copy is not aligned to 16 bytes\n"); abort(); }
    uint4 value = {0, 0, 0, 0};
    if (present) memcpy(&value, from, 16);
    current->open.push_back(Copy{to, value});
}
static void emulated_close_copies() {
    current->copies.push_back(std::move(current->open));
    current->open.clear();
}
static void emulated_wait_copies(int pending) {
    while (int(current->copies.size()) > pending) {
        for (const Copy& c : current->copies.front()) memcpy(c.to, &c.value, 16);
        current->copies.erase(current->copies.begin());
    }
}

// ---- launches -----------------------------------------------------------------------------------------------------

template <class... A> struct Call {
    void (*kernel)(A...);
    void** arguments;
    template <size_t... I> void run(std::index_sequence<I...>) { kernel(*reinterpret_cast<A*>(arguments[I])...); }
    static void start(void* self) { static_cast<Call*>(self)->run(std::index_sequence_for<A...>()); }
};

template <class T> struct Letter { static const char value = sizeof(T) == 8 ? 'l' : 'u'; };
template <class T> struct Letter<T*> { static const char value = 'p'; };
template <> struct Letter<float> { static const char value = 'f'; };
template <> struct Letter<double> { static const char value = 'd'; };

// A letter for every argument: p pointer, u 32 bits, l 64 bits, f and d numbers.
template <class... A> static const char* letters(void (*)(A...)) {
    static const char text[] = {Letter<A>::value..., 0};
    return text;
}

// 0, or 1 when threads wait for each other without end, 2 when shared memory was overrun.
static int run_block(unsigned threads, bool reversed) {
    const unsigned count = threads, warp_count = (threads + 31) / 32;
    warps.assign(warp_count, Warp{});
    for (unsigned w = 0; w < warp_count; w++) warps[w].lanes = min(32u, threads - 32 * w);
    for (unsigned i = 0; i < count; i++) {
        Fiber& f = fibers[i];
        f.index = Three{i % block_size.x, i / block_size.x % block_size.y, i / (block_size.x * block_size.y)};
        f.lane = i % 32;
        f.warp = i / 32;
        f.collectives = 0;
        f.done = f.at_barrier = false;
        f.copies.clear();
        f.open.clear();
        void** top = reinterpret_cast<void**>(f.stack + STACK - 64);
        *--top = nullptr;
        *--top = reinterpret_cast<void*>(&emulator_fiber);
        for (int r = 0; r < 6; r++) *--top = nullptr;
        f.stack_pointer = top;
    }
    for (;;) {
        const unsigned long long before = progress;
        unsigned done = 0, waiting = 0;
        for (unsigned n = 0; n < warp_count; n++) {
            const unsigned w = reversed ? warp_count - 1 - n : n, first = 32 * w, lanes = warps[w].lanes;
            // A warp runs on until nothing in it moves: its collectives need no other warp.
            for (unsigned long long seen = progress + 1; seen != progress;) {
                seen = progress;
                for (unsigned l = 0; l < lanes; l++) {
                    Fiber& f = fibers[first + (reversed ? lanes - 1 - l : l)];
                    if (f.done || f.at_barrier) continue;
                    current = &f;
                    emulator_switch(&scheduler, f.stack_pointer);
                }
            }
        }
        for (unsigned i = 0; i < count; i++) {
            done += fibers[i].done;
            waiting += fibers[i].at_barrier;
        }
        if (done == count) return 0;
        if (done + waiting == count && waiting == count) {
            for (unsigned i = 0; i < count; i++) fibers[i].at_barrier = false;
            progress++;
        } else if (before == progress) {
            return 1;
        }
    }
}

template <class... A>
static int launch(void (*kernel)(A...), const unsigned* grid, const unsigned* block, unsigned shared, bool reversed, void** arguments) {
    Call<A...> call = {kernel, arguments};
    body = &Call<A...>::start;
    body_data = &call;
    grid_size = Three{grid[0], grid[1], grid[2]};
    block_size = Three{block[0], block[1], block[2]};
    const unsigned threads = block[0] * block[1] * block[2];
    if (shared > SHARED_LIMIT || threads > 1024) return 3;
    while (fibers.size() < threads) {
        fibers.emplace_back();
        fibers.back().stack = static_cast<char*>(malloc(STACK));
    }
    if (!emulated_shared) emulated_shared = static_cast<unsigned char*>(aligned_alloc(256, SHARED_LIMIT + 4096));
    const unsigned blocks = grid[0] * grid[1] * grid[2];
    for (unsigned n = 0; n < blocks; n++) {
        const unsigned b = reversed ? blocks - 1 - n : n;
        block_index = Three{b % grid[0], b / grid[0] % grid[1], b / (grid[0] * grid[1])};
        memset(emulated_shared, 0xff, shared + 4096);
        if (int failed = run_block(threads, reversed)) return failed;
        for (unsigned i = 0; i < 4096; i++) if (emulated_shared[shared + i] != 0xff) return 2;
    }
    return 0;
}

#define EXPORT(name)                                                                                                     \
    extern "C" int launch_##name(const unsigned* grid, const unsigned* block, unsigned shared, int reversed, void** args) { \
        return launch(name, grid, block, shared, reversed != 0, args);                                                  \
    }                                                                                                                    \
    extern "C" const char* arguments_##name() { return letters(name); }
