// Root-mean-square normalisation: y = x / rms(x) ⊙ weight in every row, and its gradient.
//
// A block has blockDim.y rows and blockDim.x threads (a multiple of 32) for each; rows of more than one warp stand
// alone in their block. A row is read twice, the second time from the first-level cache.
//
// [8192, 4096] bf16: forward reads 67 MB and writes 67 MB: floor 40 µs on an H100 (3.35 TB/s), expected 48 µs; 0.17
// GFLOP. Backward reads x, dy (and dx where it is added to) and writes dx: 201–268 MB, floor 60–80 µs, expected 95 µs.

__device__ __forceinline__ float row_sum(float x) { return blockDim.x > 32 ? block_sum(x) : warp_sum(x); }

// `again`: 1/rms is read from `inverse`, not computed: bit for bit what the forward gave, in one pass.
template <class T>
__device__ void norm_rows(const T* x, const float* weight, float eps, T* y, float* inverse, u32 rows, u32 width,
                          u32 x_stride, u32 y_stride, bool again) {
    const u32 row = blockIdx.x * blockDim.y + threadIdx.y;
    // A warp has one row, and a block of several warps has one row: all threads that sum together leave together.
    if (row >= rows) return;
    x += u64(row) * x_stride;
    y += u64(row) * y_stride;
    float inv;
    if (again) {
        inv = inverse[row];
    } else {
        float sum = 0.0f;
        for (u32 i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
            Eight e = load8(x + i);
#pragma unroll
            for (int j = 0; j < 8; j++) sum += e.v[j] * e.v[j];
        }
        inv = 1.0f / sqrtf(row_sum(sum) / float(width) + eps);
        if (threadIdx.x == 0) inverse[row] = inv;
    }
    for (u32 i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
        Eight e = load8(x + i), w = load8(weight + i);
#pragma unroll
        for (int j = 0; j < 8; j++) e.v[j] = e.v[j] * inv * w.v[j];
        store8(y + i, e);
    }
}

// With g = dy ⊙ w: ∂/∂x = inv·g − x·inv³·⟨g, x⟩/width; `keep`: it is added to dx.
template <class T>
__device__ void norm_rows_backward(const T* x, const float* weight, const float* inverse, const T* dy, T* dx, u32 rows,
                                   u32 width, u32 dy_stride, u32 dx_stride, u32 keep) {
    const u32 row = blockIdx.x * blockDim.y + threadIdx.y;
    if (row >= rows) return;
    x += u64(row) * width;
    dy += u64(row) * dy_stride;
    dx += u64(row) * dx_stride;
    const float inv = inverse[row];
    float sum = 0.0f;
    for (u32 i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
        Eight e = load8(x + i), w = load8(weight + i), d = load8(dy + i);
#pragma unroll
        for (int j = 0; j < 8; j++) sum += d.v[j] * w.v[j] * e.v[j];
    }
    const float shrink = inv * inv * inv * row_sum(sum) / float(width);
    for (u32 i = threadIdx.x * 8; i < width; i += blockDim.x * 8) {
        Eight e = load8(x + i), w = load8(weight + i), d = load8(dy + i), out;
        if (keep) out = load8(dx + i);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            float gradient = d.v[j] * w.v[j] * inv - e.v[j] * shrink;
            out.v[j] = keep ? out.v[j] + gradient : gradient;
        }
        store8(dx + i, out);
    }
}

#define NORM(T)                                                                                                      \
    KERNEL rms_norm_##T(const T* x, const float* weight, float eps, T* y, float* inverse, u32 rows, u32 width,         \
                        u32 x_stride, u32 y_stride) {                                                                \
        norm_rows<T>(x, weight, eps, y, inverse, rows, width, x_stride, y_stride, false);                            \
    }                                                                                                                \
    KERNEL rms_norm_again_##T(const T* x, const float* weight, float* inverse, T* y, u32 rows, u32 width, u32 x_stride, \
                              u32 y_stride) {                                                                        \
        norm_rows<T>(x, weight, 0.0f, y, inverse, rows, width, x_stride, y_stride, true);                            \
    }                                                                                                                \
    KERNEL rms_norm_backward_##T(const T* x, const float* weight, const float* inverse, const T* dy, T* dx, u32 rows,  \
                                 u32 width, u32 dy_stride, u32 dx_stride, u32 keep) {                                               \
        norm_rows_backward<T>(x, weight, inverse, dy, dx, rows, width, dy_stride, dx_stride, keep);                             \
    }
NORM(float)
NORM(bf16)

// The norms of single heads (Qwen3). A row holds query heads, key heads and value heads one after another; a warp has one
// head of at most 256 numbers. Values are copied, so that all three lie in one matrix for the attention.
//
// [8192, 32 + 2 · 8 heads of 128] bf16: 100 MB read and written: floor 60 µs on an H100, expected 72 µs.
template <class T>
__device__ void norm_heads(const T* x, const float* q_weight, const float* k_weight, float eps, T* y, u32 rows, u32 heads,
                           u32 kv_heads, u32 width, u32 x_stride, u32 y_stride) {
    const u32 all = heads + 2 * kv_heads, index = blockIdx.x * 8 + threadIdx.x / 32, i = threadIdx.x % 32 * 8;
    const u32 row = index / all, head = index % all;
    // The whole warp leaves together.
    if (row >= rows) return;
    const bool present = i < width;
    Eight e;
    float sum = 0.0f;
    if (present) {
        e = load8(x + u64(row) * x_stride + u64(head) * width + i);
#pragma unroll
        for (int j = 0; j < 8; j++) sum += e.v[j] * e.v[j];
    }
    const float inv = 1.0f / sqrtf(warp_sum(sum) / float(width) + eps);
    if (!present) return;
    if (head < heads + kv_heads) {
        Eight w = load8((head < heads ? q_weight : k_weight) + i);
#pragma unroll
        for (int j = 0; j < 8; j++) e.v[j] = e.v[j] * inv * w.v[j];
    }
    store8(y + u64(row) * y_stride + u64(head) * width + i, e);
}

// `d`, the gradient of the normed heads, becomes that of `x`, in place.
template <class T>
__device__ void norm_heads_backward(const T* x, const float* q_weight, const float* k_weight, float eps, T* d, u32 rows,
                                    u32 heads, u32 kv_heads, u32 width, u32 x_stride, u32 d_stride) {
    const u32 all = heads + kv_heads, index = blockIdx.x * 8 + threadIdx.x / 32, i = threadIdx.x % 32 * 8;
    const u32 row = index / all, head = index % all;
    if (row >= rows) return;
    const bool present = i < width;
    T* at = d + u64(row) * d_stride + u64(head) * width + i;
    Eight e, g;
    float squares = 0.0f, inner = 0.0f;
    if (present) {
        e = load8(x + u64(row) * x_stride + u64(head) * width + i);
        g = load8(at);
        Eight w = load8((head < heads ? q_weight : k_weight) + i);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            g.v[j] *= w.v[j];
            squares += e.v[j] * e.v[j];
            inner += g.v[j] * e.v[j];
        }
    }
    const float inv = 1.0f / sqrtf(warp_sum(squares) / float(width) + eps);
    const float shrink = inv * inv * inv * warp_sum(inner) / float(width);
    if (!present) return;
#pragma unroll
    for (int j = 0; j < 8; j++) g.v[j] = g.v[j] * inv - e.v[j] * shrink;
    store8(at, g);
}

#define HEAD_NORM(T)                                                                                                  \
    KERNEL head_norm_##T(const T* x, const float* q_weight, const float* k_weight, float eps, T* y, u32 rows, u32 heads, \
                         u32 kv_heads, u32 width, u32 x_stride, u32 y_stride) {                                       \
        norm_heads<T>(x, q_weight, k_weight, eps, y, rows, heads, kv_heads, width, x_stride, y_stride);               \
    }                                                                                                                 \
    KERNEL head_norm_backward_##T(const T* x, const float* q_weight, const float* k_weight, float eps, T* d, u32 rows, \
                                  u32 heads, u32 kv_heads, u32 width, u32 x_stride, u32 d_stride) {                   \
        norm_heads_backward<T>(x, q_weight, k_weight, eps, d, rows, heads, kv_heads, width, x_stride, d_stride);      \
    }
HEAD_NORM(float)
HEAD_NORM(bf16)
