// Small operations on rows: bias, casts, embedding rows, dropout, noise, copies between strides. Each is one pass over
// memory: bytes ÷ 3.35 TB/s is its floor on an H100, about 1.2 times that is expected.
//
// A thread has eight elements, blockIdx.x is the row (it may exceed 65,535, the other two may not); widths are multiples of eight.

// y += bias in every row.
template <class T> __device__ void bias_rows(T* y, const float* bias, u32 width, u32 stride) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    T* at = y + u64(blockIdx.x) * stride + i;
    Eight e = load8(at), b = load8(bias + i);
#pragma unroll
    for (int j = 0; j < 8; j++) e.v[j] += b.v[j];
    store8(at, e);
}
KERNEL add_bias_float(float* y, const float* bias, u32 width, u32 stride) { bias_rows<float>(y, bias, width, stride); }
KERNEL add_bias_bf16(bf16* y, const float* bias, u32 width, u32 stride) { bias_rows<bf16>(y, bias, width, stride); }

// Rows between number types and strides.
template <class A, class B> __device__ void copy_rows(const A* from, B* to, u32 width, u32 from_stride, u32 to_stride) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    store8(to + u64(blockIdx.x) * to_stride + i, load8(from + u64(blockIdx.x) * from_stride + i));
}
KERNEL cast_float_bf16(const float* from, bf16* to, u32 width, u32 from_stride, u32 to_stride) {
    copy_rows<float, bf16>(from, to, width, from_stride, to_stride);
}
KERNEL cast_bf16_float(const bf16* from, float* to, u32 width, u32 from_stride, u32 to_stride) {
    copy_rows<bf16, float>(from, to, width, from_stride, to_stride);
}

// Rows of a table chosen by `ids`: the embedding, and the supervised rows before the output layer.
template <class T> __device__ void gather(const T* table, const u32* ids, T* out, u32 width, u32 stride) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    store8(out + u64(blockIdx.x) * stride + i, load8(table + u64(ids[blockIdx.x]) * width + i));
}
KERNEL gather_rows_float(const float* table, const u32* ids, float* out, u32 width, u32 stride) {
    gather<float>(table, ids, out, width, stride);
}
KERNEL gather_rows_bf16(const bf16* table, const u32* ids, bf16* out, u32 width, u32 stride) {
    gather<bf16>(table, ids, out, width, stride);
}

// The way back: row i goes to row ids[i], which are all different. The other rows are the caller's to clear. Also how new
// keys and values come into the pool of cached rows.
template <class T> __device__ void scatter(const T* from, const u32* ids, T* to, u32 width, u32 from_stride, u32 to_stride) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    store8(to + u64(ids[blockIdx.x]) * to_stride + i, load8(from + u64(blockIdx.x) * from_stride + i));
}
KERNEL scatter_rows_float(const float* from, const u32* ids, float* to, u32 width, u32 from_stride, u32 to_stride) {
    scatter<float>(from, ids, to, width, from_stride, to_stride);
}
KERNEL scatter_rows_bf16(const bf16* from, const u32* ids, bf16* to, u32 width, u32 from_stride, u32 to_stride) {
    scatter<bf16>(from, ids, to, width, from_stride, to_stride);
}

// SplitMix64's finaliser, as in ops/dropout.rs: the mask is a function of (seed, row, column) and the same on the CPU.
__device__ __forceinline__ u64 mix(u64 z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

// out = x ⊙ mask / (1 − p); `add`: it is added to out (the way back). `threshold` is p · 2³².
template <class T>
__device__ void drop(const T* x, T* out, u64 seed, u32 first_row, u32 width, u32 x_stride, u32 out_stride, u64 threshold,
                     float keep, u32 add) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    const u64 base = seed + (u64(first_row + blockIdx.x) << 32) + i;
    T* to = out + u64(blockIdx.x) * out_stride + i;
    Eight e = load8(x + u64(blockIdx.x) * x_stride + i), sum;
    if (add) sum = load8(to);
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const float value = (mix(base + j) >> 32) < threshold ? 0.0f : e.v[j] * keep;
        e.v[j] = add ? sum.v[j] + value : value;
    }
    store8(to, e);
}
KERNEL dropout_float(const float* x, float* out, u64 seed, u32 first_row, u32 width, u32 x_stride, u32 out_stride,
                     u64 threshold, float keep, u32 add) {
    drop<float>(x, out, seed, first_row, width, x_stride, out_stride, threshold, keep, add);
}
KERNEL dropout_bf16(const bf16* x, bf16* out, u64 seed, u32 first_row, u32 width, u32 x_stride, u32 out_stride, u64 threshold,
                    float keep, u32 add) {
    drop<bf16>(x, out, seed, first_row, width, x_stride, out_stride, threshold, keep, add);
}

// NEFTune's noise on embedding rows (ops/embedding_noise.rs); `bounds` has ±α/√(L·d) of every row's sequence.
template <class T>
__device__ void noise(T* x, const float* bounds, u64 seed, u32 first_row, u32 width) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    const u64 base = seed + (u64(first_row + blockIdx.x) << 32) + i;
    const float bound = bounds[blockIdx.x];
    T* at = x + u64(blockIdx.x) * width + i;
    Eight e = load8(at);
#pragma unroll
    for (int j = 0; j < 8; j++) e.v[j] += bound * (float(u32(mix(base + j) >> 40)) / 8388608.0f - 1.0f);
    store8(at, e);
}
KERNEL embedding_noise_float(float* x, const float* bounds, u64 seed, u32 first_row, u32 width) {
    noise<float>(x, bounds, seed, first_row, width);
}
KERNEL embedding_noise_bf16(bf16* x, const float* bounds, u64 seed, u32 first_row, u32 width) {
    noise<bf16>(x, bounds, seed, first_row, width);
}
