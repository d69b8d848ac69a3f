// DoRA: y = start + (m ⊘ ‖W + s·B·A‖) ⊙ u, where u = x·Wᵀ + low·Bᵀ; the norm counts as a constant on the way back.
//
// For Llama-3-8B's q, k and v, [8192, 6144] bf16: the forward's scaling moves 200 MB (300 with a start): floor 60 µs on an H100,
// expected 72 µs; the way back reads dy and u and writes dy: 300 MB, floor 90 µs, expected 110 µs.

// ‖W + s·B·A‖² = ‖W‖² + 2·⟨W·(sA)ᵀ, B⟩ + B·(sA)·(sA)ᵀ·Bᵀ for every row, and the factor m ⊘ norm. `across` = W·(sA)ᵀ and
// `gram` = (sA)·(sA)ᵀ lie in rows `stride` apart. A row of zeros has no direction: it stays what it is. A thread has a row.
KERNEL dora_norms(const float* squares, const float* across, const float* gram, const float* b, const float* magnitude,
                  float* factors, float* norms, u32 outputs, u32 rank, u32 stride) {
    const u32 row = blockIdx.x * blockDim.x + threadIdx.x;
    if (row >= outputs) return;
    double square = squares[row];
    for (u32 r = 0; r < rank; r++) {
        double inner = 2.0 * across[u64(row) * stride + r];
        for (u32 q = 0; q < rank; q++) inner += double(gram[u64(r) * stride + q]) * b[u64(row) * rank + q];
        square += inner * b[u64(row) * rank + r];
    }
    const float norm = square > 0.0 ? sqrtf(float(square)) : 0.0f;
    norms[row] = norm;
    factors[row] = norm > 0.0f ? magnitude[row] / norm : 1.0f;
}

// y = start + factors ⊙ u; `start` may be null, and y may be it. A thread has eight numbers of a row.
template <class T>
__device__ void scale_rows(const T* u, const float* factors, const T* start, T* y, u32 width, u32 start_stride, u32 y_stride) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8;
    if (i >= width) return;
    Eight e = load8(u + u64(blockIdx.x) * width + i), s;
    const Eight f = load8(factors + i);
    if (start) s = load8(start + u64(blockIdx.x) * start_stride + i);
#pragma unroll
    for (int j = 0; j < 8; j++) e.v[j] = start ? s.v[j] + e.v[j] * f.v[j] : e.v[j] * f.v[j];
    store8(y + u64(blockIdx.x) * y_stride + i, e);
}

// du = factors ⊙ dy (du may be dy), and the sums of dy ⊙ u over 128 rows, column by column: blockIdx.x is which 128. A thread has
// eight columns.
template <class T>
__device__ void scale_rows_backward(const T* dy, const T* u, const float* factors, T* du, float* sums, u32 rows, u32 width,
                                    u32 dy_stride, u32 du_stride) {
    const u32 i = (blockIdx.y * blockDim.x + threadIdx.x) * 8, first = blockIdx.x * 128;
    if (i >= width) return;
    const Eight f = load8(factors + i);
    Eight sum;
#pragma unroll
    for (int j = 0; j < 8; j++) sum.v[j] = 0.0f;
    for (u32 row = first; row < min(first + 128, rows); row++) {
        Eight d = load8(dy + u64(row) * dy_stride + i);
        const Eight e = load8(u + u64(row) * width + i);
#pragma unroll
        for (int j = 0; j < 8; j++) {
            sum.v[j] += d.v[j] * e.v[j];
            d.v[j] *= f.v[j];
        }
        store8(du + u64(row) * du_stride + i, d);
    }
    store8(sums + u64(blockIdx.x) * width + i, sum);
}

// gradient += Σ sums ⊘ norm, in the order of rows. A thread has a column.
KERNEL dora_magnitudes(const float* sums, const float* norms, float* gradient, u32 parts, u32 outputs, u32 width) {
    const u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= outputs) return;
    float sum = 0.0f;
    for (u32 part = 0; part < parts; part++) sum += sums[u64(part) * width + i];
    if (norms[i] > 0.0f) gradient[i] += sum / norms[i];
}

#define DORA(T)                                                                                                            \
    KERNEL dora_scale_##T(const T* u, const float* factors, const T* start, T* y, u32 width, u32 start_stride, u32 y_stride) { \
        scale_rows<T>(u, factors, start, y, width, start_stride, y_stride);                                                \
    }                                                                                                                      \
    KERNEL dora_scale_backward_##T(const T* dy, const T* u, const float* factors, T* du, float* sums, u32 rows, u32 width, \
                                   u32 dy_stride, u32 du_stride) {                                                         \
        scale_rows_backward<T>(dy, u, factors, du, sums, rows, width, dy_stride, du_stride);                               \
    }
DORA(float)
DORA(bf16)
