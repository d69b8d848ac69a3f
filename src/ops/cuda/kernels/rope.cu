// Rotary position embedding in place, for the heads of q and of k in one launch: feature i of a head turns together with
// feature i + half. The gradient turns the other way (direction −1).
//
// A thread turns eight pairs. The cosines and sines of a row are read once a head and stay in the second-level cache.
// [8192 rows, 32 + 8 heads of 128] bf16: 84 MB read and written each: floor 50 µs on an H100, expected 60 µs; 0.25 GFLOP.

template <class T>
__device__ void rotate_heads(T* q, T* k, const float* cosines, const float* sines, const u32* positions, u32 rows, u32 heads,
                             u32 kv_heads, u32 half, u32 q_stride, u32 k_stride, float direction) {
    const u32 eights = half / 8, all = heads + kv_heads;
    const u64 index = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (index >= u64(rows) * all * eights) return;
    const u32 i = u32(index % eights) * 8, head = u32(index / eights % all);
    const u64 row = index / eights / all;
    T* x = head < heads ? q + row * q_stride + u64(head) * 2 * half : k + row * k_stride + u64(head - heads) * 2 * half;
    const u64 at = u64(positions[row]) * half + i;
    Eight a = load8(x + i), b = load8(x + half + i), cosine = load8(cosines + at), sine = load8(sines + at);
#pragma unroll
    for (int j = 0; j < 8; j++) {
        const float s = sine.v[j] * direction, first = a.v[j], second = b.v[j];
        a.v[j] = first * cosine.v[j] - second * s;
        b.v[j] = second * cosine.v[j] + first * s;
    }
    store8(x + i, a);
    store8(x + half + i, b);
}

#define ROPE(T)                                                                                                       \
    KERNEL rope_##T(T* q, T* k, const float* cosines, const float* sines, const u32* positions, u32 rows, u32 heads,    \
                    u32 kv_heads, u32 half, u32 q_stride, u32 k_stride, float direction) {                            \
        rotate_heads<T>(q, k, cosines, sines, positions, rows, heads, kv_heads, half, q_stride, k_stride, direction); \
    }
ROPE(float)
ROPE(bf16)
