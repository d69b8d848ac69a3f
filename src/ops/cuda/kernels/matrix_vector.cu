// y = x·Wᵀ for one to eight rows of x: what decoding does. The weight's way from memory sets the time, so it is read once
// for all rows, as it is stored, and whatever stands around the product rides in it: the norm of x before, the low-rank update
// y += low·Bᵀ, the residual stream (y may be it), and for gate and up the activation, which needs both outputs in one warp.
//
// A warp has a few outputs, so that a load of x serves them all. 1/rms of x is found by each block anew, from the second-level
// cache, and multiplied into the sums; the norm's weights are multiplied into x.
//
// [4096, 4096] on an H100: bf16 33.6 MB: 10 µs floor, expected 13 µs; Q8_0 17.8 MB: 5.3, expected 7 µs; Q4_1 10.5 MB: 3.1,
// expected 5 µs; Q4_K 9.7 MB: 2.9, expected 5 µs. Llama-3-8B has 7.5 G weights outside its embedding: bf16 15 GB: 4.5 ms a
// token, Q4_1 1.4 ms.

template <class T> struct WholeRows {
    const T* weight;
    u32 width;
    static const bool SCALED = false, OFFSET = false;
    static const u32 SECOND = 4;
    static __device__ __forceinline__ u32 first(u32 lane) { return lane * 8; }
    __device__ __forceinline__ LaneNumbers read(u64 row, u32 at, u32 lane) const {
        const Eight e = load8(weight + row * width + at + lane * 8);
        LaneNumbers n;
#pragma unroll
        for (int i = 0; i < 8; i++) n.q[i] = e.v[i];
        return n;
    }
};

template <int F> struct QuantisedRows {
    const u8* numbers;
    const u16* factors;
    u32 width;
    static const bool SCALED = true, OFFSET = Blocks<F>::OFFSET;
    static const u32 SECOND = Blocks<F>::SECOND;
    static __device__ __forceinline__ u32 first(u32 lane) { return Blocks<F>::first(lane); }
    __device__ __forceinline__ LaneNumbers read(u64 row, u32 at, u32 lane) const {
        return Blocks<F>::read(numbers, factors, row * width + at, lane);
    }
};

// What a product goes by beside its weight.
struct Around {
    const float* x;
    // Null: x as it is.
    const float* norm;
    float eps;
    // Null: no update. Projections lie one after another in the outputs, and so do their columns in a row of `low`; the second
    // and third begin at these outputs.
    const float* low;
    const float* b;
    u32 rank, low_stride, second, third;
    // Null, or a factor on each output (DoRA).
    const float* scale;
    const float* residual;
    float* y;
    u32 rows, outputs, inputs, y_stride;
};

__device__ __forceinline__ Eight four_and_four(const float* p, u32 second) {
    const float4 a = *reinterpret_cast<const float4*>(p), b = *reinterpret_cast<const float4*>(p + second);
    return Eight{{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

// ROWS rows (or fewer: the last stands in for those that are not there), OUT outputs of a warp; GATED: every other one is
// `up`, `outputs` rows below its gate.
template <int ROWS, int OUT, bool GATED, class W>
__device__ __forceinline__ void products(const W& weight, const Around& a) {
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, each = GATED ? OUT / 2 : OUT;
    const u32 first = (blockIdx.x * (blockDim.x / 32) + warp) * each;
    float inverse[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) inverse[r] = 1.0f;
    if (a.norm) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r >= a.rows) break;
            float squares = 0.0f;
            for (u32 i = threadIdx.x * 4; i < a.inputs; i += blockDim.x * 4) {
                const float4 e = *reinterpret_cast<const float4*>(a.x + u64(r) * a.inputs + i);
                squares += e.x * e.x + e.y * e.y + e.z * e.z + e.w * e.w;
            }
            inverse[r] = 1.0f / sqrtf(block_sum(squares) / float(a.inputs) + a.eps);
        }
    }
    // No barrier follows.
    if (first >= a.outputs) return;
    u32 output[OUT];
    float sums[OUT][ROWS];
#pragma unroll
    for (int o = 0; o < OUT; o++) {
        output[o] = GATED ? min(first + o / 2, a.outputs - 1) + o % 2 * a.outputs : min(first + o, a.outputs - 1);
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[o][r] = 0.0f;
    }
    const u32 mine = W::first(lane);
    // Enough loads under way to hide the way from memory.
#pragma unroll (ROWS * OUT <= 2 ? 4 : ROWS * OUT <= 4 ? 2 : 1)
    for (u32 at = 0; at + mine < a.inputs; at += 256) {
        LaneNumbers n[OUT];
#pragma unroll
        for (int o = 0; o < OUT; o++) n[o] = weight.read(output[o], at, lane);
        Eight w;
        if (a.norm) w = four_and_four(a.norm + at + mine, W::SECOND);
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            Eight e = four_and_four(a.x + u64(min(u32(r), a.rows - 1)) * a.inputs + at + mine, W::SECOND);
            if (a.norm) {
#pragma unroll
                for (int j = 0; j < 8; j++) e.v[j] *= w.v[j];
            }
            float all[2];
            if (W::OFFSET) {
#pragma unroll
                for (int h = 0; h < 2; h++) all[h] = e.v[4 * h] + e.v[4 * h + 1] + e.v[4 * h + 2] + e.v[4 * h + 3];
            }
#pragma unroll
            for (int o = 0; o < OUT; o++) {
#pragma unroll
                for (int h = 0; h < 2; h++) {
                    float sum = W::SCALED ? 0.0f : sums[o][r];
#pragma unroll
                    for (int j = 0; j < 4; j++) sum += n[o].q[4 * h + j] * e.v[4 * h + j];
                    sums[o][r] = W::SCALED ? sums[o][r] + sum * n[o].d[h] : sum;
                    if (W::OFFSET) sums[o][r] += all[h] * n[o].m[h];
                }
            }
        }
    }
#pragma unroll
    for (int o = 0; o < OUT; o++) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[o][r] *= inverse[r];
        const u32 column = (u32(output[o] >= a.second) + u32(output[o] >= a.third)) * a.rank;
        for (u32 i = lane; a.low && i < a.rank; i += 32) {
            const float factor = a.b[u64(output[o]) * a.rank + i];
#pragma unroll
            for (int r = 0; r < ROWS; r++) sums[o][r] += factor * a.low[u64(min(u32(r), a.rows - 1)) * a.low_stride + column + i];
        }
        const float scale = a.scale ? a.scale[output[o]] : 1.0f;
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[o][r] = warp_sum(sums[o][r]) * scale;
    }
    if (lane != 0) return;
#pragma unroll
    for (int o = 0; o < each; o++) {
        if (first + o >= a.outputs) return;
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r >= a.rows) break;
            const u64 at = u64(r) * a.y_stride + first + o;
            if (GATED) {
                const float gate = sums[2 * o % OUT][r];
                a.y[at] = gate / (1.0f + __expf(-gate)) * sums[(2 * o + 1) % OUT][r];
            } else {
                a.y[at] = a.residual ? a.residual[at] + sums[o][r] : sums[o][r];
            }
        }
    }
}

// Outputs of a warp: as few as keep the loads of x behind those of the weight, which blocks make short. One or two rows have
// kernels of their own: with the registers that eight want, half of the threads would wait for memory alone.
template <bool GATED, int MOST, class W> __device__ __forceinline__ void product_of_rows(const W& weight, const Around& a) {
    const int FEW = GATED || W::SCALED ? 2 : 1;
    if (MOST == 2) {
        if (a.rows == 1) return products<1, FEW, GATED>(weight, a);
        return products<2, FEW, GATED>(weight, a);
    }
    if (a.rows <= 4) return products<4, 2, GATED>(weight, a);
    return products<8, 2, GATED>(weight, a);
}

#define AROUND                                                                                                              \
    const float *x, const float *norm, float eps, const float *low, const float *b, u32 rank, u32 low_stride, u32 second,   \
        u32 third, const float *scale, const float *residual, float *y, u32 rows, u32 outputs, u32 inputs, u32 y_stride
#define AROUND_GIVEN                                                                                                        \
    Around{x, norm, eps, low, b, rank, low_stride, second, third, scale, residual, y, rows, outputs, inputs, y_stride}

#define WHOLE(T, MOST, BLOCKS)                                                                                              \
    KERNEL __launch_bounds__(256, BLOCKS) matrix_vector_##T##_##MOST(const T* weight, AROUND) {                             \
        product_of_rows<false, MOST>(WholeRows<T>{weight, inputs}, AROUND_GIVEN);                                          \
    }                                                                                                                       \
    KERNEL __launch_bounds__(256, BLOCKS) gated_##T##_##MOST(const T* weight, AROUND) {                                     \
        product_of_rows<true, MOST>(WholeRows<T>{weight, inputs}, AROUND_GIVEN);                                           \
    }
#define QUANTISED(F, MOST, BLOCKS)                                                                                          \
    KERNEL __launch_bounds__(256, BLOCKS) matrix_vector_##F##_##MOST(const u8* numbers, const u16* factors, AROUND) {       \
        product_of_rows<false, MOST>(QuantisedRows<F>{numbers, factors, inputs}, AROUND_GIVEN);                            \
    }                                                                                                                       \
    KERNEL __launch_bounds__(256, BLOCKS) gated_##F##_##MOST(const u8* numbers, const u16* factors, AROUND) {               \
        product_of_rows<true, MOST>(QuantisedRows<F>{numbers, factors, inputs}, AROUND_GIVEN);                             \
    }
#define FOR_ROWS(WEIGHT, F) WEIGHT(F, 2, 4) WEIGHT(F, 8, 2)
FOR_ROWS(WHOLE, float)
FOR_ROWS(WHOLE, bf16)
FOR_ROWS(QUANTISED, Q8_0)
FOR_ROWS(QUANTISED, Q4_0)
FOR_ROWS(QUANTISED, Q4_1)
FOR_ROWS(QUANTISED, Q4_K)
FOR_ROWS(QUANTISED, Q6_K)

// low = x·Aᵀ for the rows of decoding, x normed where `norm` is not null; A is f32 [rank, inputs] and has the update's factor
// in it. A warp has one of rank × rows numbers.
KERNEL low_rank(const float* a, const float* x, const float* norm, float eps, float* low, u32 rows, u32 inputs, u32 rank) {
    const u32 index = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (index >= rows * rank) return;
    const u32 row = index / rank, r = index % rank;
    float sum = 0.0f, squares = 0.0f;
    for (u32 i = lane * 8; i < inputs; i += 256) {
        const Eight w = load8(a + u64(r) * inputs + i), e = load8(x + u64(row) * inputs + i);
        Eight n;
        if (norm) n = load8(norm + i);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            squares += e.v[j] * e.v[j];
            sum += w.v[j] * (norm ? e.v[j] * n.v[j] : e.v[j]);
        }
    }
    sum = warp_sum(sum);
    squares = warp_sum(squares);
    if (lane == 0) low[index] = norm ? sum / sqrtf(squares / float(inputs) + eps) : sum;
}
