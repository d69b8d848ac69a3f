// y = x·Wᵀ for one to eight rows of x: what decoding does. The weight's way from memory sets the time, so it is read once
// for all rows, as it is stored, and the low-rank update is added where the sum is in a register: y += low·Bᵀ.
//
// A warp has one output; x (f32) is read through the first-level cache. `residual` (may be null) is added as well, and y may
// be it: the residual stream then needs no launch of its own.
//
// [4096, 4096] on an H100: bf16 33.6 MB: 10 µs floor, expected 13 µs; Q8_0 17.8 MB: 5.3, expected 7 µs; Q4_1 10.5 MB: 3.1,
// expected 5 µs. Llama-3-8B has 7.5 G weights outside its embedding: bf16 15 GB: 4.5 ms a token, Q4_1 1.4 ms.

struct Bf16Row {
    const bf16* weight;
    u32 width;
    static const int STEP = 8;
    template <class W> __device__ __forceinline__ void each(u64 row, u32 at, const W& with) const {
        with(0, load8(weight + row * width + at));
    }
};

template <int F> struct QuantisedRow {
    const u8* numbers;
    const u16* factors;
    u32 width;
    static const int STEP = 32;
    template <class W> __device__ __forceinline__ void each(u64 row, u32 at, const W& with) const {
        Eight eights[4];
        Blocks<F>::read(numbers, factors, row * (width / 32) + at / 32, eights);
#pragma unroll
        for (int i = 0; i < 4; i++) with(8 * i, eights[i]);
    }
};

template <int ROWS> struct Sums {
    float v[ROWS];
};

template <int ROWS, class W>
__device__ __forceinline__ void products(const W& weight, const float* x, const float* low, const float* b, const float* residual,
                                         float* y, u32 outputs, u32 inputs, u32 rank) {
    const u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (output >= outputs) return;
    Sums<ROWS> sums;
#pragma unroll
    for (int r = 0; r < ROWS; r++) sums.v[r] = 0.0f;
    for (u32 at = lane * W::STEP; at < inputs; at += 32 * W::STEP) {
        weight.each(output, at, [&](u32 offset, const Eight& w) {
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const Eight e = load8(x + u64(r) * inputs + at + offset);
#pragma unroll
                for (int j = 0; j < 8; j++) sums.v[r] += w.v[j] * e.v[j];
            }
        });
    }
    for (u32 i = lane; i < rank; i += 32) {
        const float factor = b[u64(output) * rank + i];
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums.v[r] += factor * low[r * rank + i];
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const float sum = warp_sum(sums.v[r]);
        const u64 at = u64(r) * outputs + output;
        if (lane == 0) y[at] = residual ? residual[at] + sum : sum;
    }
}

template <class W>
__device__ void product_of_rows(const W& weight, const float* x, const float* low, const float* b, const float* residual, float* y,
                                u32 rows, u32 outputs, u32 inputs, u32 rank) {
    switch (rows) {
    case 1: return products<1>(weight, x, low, b, residual, y, outputs, inputs, rank);
    case 2: return products<2>(weight, x, low, b, residual, y, outputs, inputs, rank);
    case 3: return products<3>(weight, x, low, b, residual, y, outputs, inputs, rank);
    case 4: return products<4>(weight, x, low, b, residual, y, outputs, inputs, rank);
    case 5: return products<5>(weight, x, low, b, residual, y, outputs, inputs, rank);
    case 6: return products<6>(weight, x, low, b, residual, y, outputs, inputs, rank);
    case 7: return products<7>(weight, x, low, b, residual, y, outputs, inputs, rank);
    default: return products<8>(weight, x, low, b, residual, y, outputs, inputs, rank);
    }
}

KERNEL matrix_vector_bf16(const bf16* weight, const float* x, const float* low, const float* b, const float* residual, float* y,
                          u32 rows, u32 outputs, u32 inputs, u32 rank) {
    product_of_rows(Bf16Row{weight, inputs}, x, low, b, residual, y, rows, outputs, inputs, rank);
}

#define MATRIX_VECTOR(F)                                                                                                    \
    KERNEL matrix_vector_##F(const u8* numbers, const u16* factors, const float* x, const float* low, const float* b,      \
                             const float* residual, float* y, u32 rows, u32 outputs, u32 inputs, u32 rank) {               \
        product_of_rows(QuantisedRow<F>{numbers, factors, inputs}, x, low, b, residual, y, rows, outputs, inputs, rank);   \
    }
MATRIX_VECTOR(Q8_0)
MATRIX_VECTOR(Q4_0)
MATRIX_VECTOR(Q4_1)

// low = scale·x·Aᵀ for the rows of decoding; A is f32 [rank, inputs]. A warp has one of rank × rows numbers.
KERNEL low_rank(const float* a, const float* x, float* low, u32 rows, u32 inputs, u32 rank, float scale) {
    const u32 index = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= rows * rank) return;
    const u32 row = index / rank, r = index % rank;
    float sum = 0.0f;
    for (u32 i = lane * 8; i < inputs; i += 256) {
        const Eight w = load8(a + u64(r) * inputs + i), e = load8(x + u64(row) * inputs + i);
#pragma unroll
        for (int j = 0; j < 8; j++) sum += w.v[j] * e.v[j];
    }
    sum = warp_sum(sum);
    if (lane == 0) low[index] = scale * sum;
}
