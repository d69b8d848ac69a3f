// The softmax part of the output layer's loss: from a chunk of logits the negative log-likelihood of every row's target,
// and in the same launch the gradient of the logits, scale · (softmax − one-hot), as bf16 for the product that follows.
//
// A block has one row. Its threads keep a running maximum and sum, so the logits are read twice: once for the sum, once
// for the gradient. The gradient may overwrite the logits when they are bf16: every element is read and written by the
// same thread. Rows are `stride` apart; `vocabulary` needs no alignment.
//
// [1024, 128256] f32 logits, bf16 gradient: 525 MB read twice (the second time half from the second-level cache) and 263
// MB written: floor 0.31 ms on an H100, expected 0.42 ms; the two products beside it take 2.2 TFLOP: 3–4 ms.

template <class T, class G>
__device__ void loss_rows(const T* logits, const u32* targets, float* losses, G* gradient, u32 vocabulary, u32 stride,
                          u32 gradient_stride, float scale) {
    const u64 row = blockIdx.x;
    logits += row * stride;
    float most = -INFINITY, sum = 0.0f;
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        const float x = to_float(logits[i]);
        // A new maximum is rare: one exponential an element.
        if (x > most) {
            sum = sum * __expf(most - x) + 1.0f;
            most = x;
        } else {
            sum += __expf(x - most);
        }
    }
    const float all = block_max(most);
    sum = block_sum(sum == 0.0f ? 0.0f : sum * __expf(most - all));
    const float lse = all + logf(sum);
    const u32 target = targets[row];
    if (threadIdx.x == 0) losses[row] = lse - to_float(logits[target]);
    if (!gradient) return;
    // The target's logit is read above and may be overwritten below.
    __syncthreads();
    gradient += row * gradient_stride;
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        const float p = __expf(to_float(logits[i]) - lse);
        gradient[i] = from_float<G>(scale * (i == target ? p - 1.0f : p));
    }
}

KERNEL cross_entropy_float(const float* logits, const u32* targets, float* losses, bf16* gradient, u32 vocabulary, u32 stride,
                           u32 gradient_stride, float scale) {
    loss_rows<float, bf16>(logits, targets, losses, gradient, vocabulary, stride, gradient_stride, scale);
}
KERNEL cross_entropy_bf16(const bf16* logits, const u32* targets, float* losses, bf16* gradient, u32 vocabulary, u32 stride,
                          u32 gradient_stride, float scale) {
    loss_rows<bf16, bf16>(logits, targets, losses, gradient, vocabulary, stride, gradient_stride, scale);
}
// With the gradient in single precision, over the logits: the parity path.
KERNEL cross_entropy_exact(const float* logits, const u32* targets, float* losses, float* gradient, u32 vocabulary, u32 stride,
                           u32 gradient_stride, float scale) {
    loss_rows<float, float>(logits, targets, losses, gradient, vocabulary, stride, gradient_stride, scale);
}

// total += Σ values, one block, in a fixed order; in f64 because a batch has thousands of them.
KERNEL add_to_total(const float* values, double* total, u32 count) {
    __shared__ double parts[256];
    double sum = 0.0;
    for (u32 i = threadIdx.x; i < count; i += 256) sum += double(values[i]);
    parts[threadIdx.x] = sum;
    for (u32 half = 128; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) parts[threadIdx.x] += parts[threadIdx.x + half];
    }
    if (threadIdx.x == 0) *total += parts[0];
}

// For every row: the index of its largest element, the lowest of equals (greedy decoding).
KERNEL argmax_float(const float* logits, u32* best, u32 vocabulary, u32 stride) {
    __shared__ float values[32];
    __shared__ u32 indices[32];
    logits += u64(blockIdx.x) * stride;
    float value = -INFINITY;
    u32 index = 0xffffffffu;
    for (u32 i = threadIdx.x; i < vocabulary; i += blockDim.x) {
        const float x = logits[i];
        if (x > value || index == 0xffffffffu) {
            value = x;
            index = i;
        }
    }
    for (int round = 0; round < 2; round++) {
        for (int offset = 16; offset > 0; offset /= 2) {
            const float other = __shfl_xor_sync(0xffffffffu, value, offset);
            const u32 at = __shfl_xor_sync(0xffffffffu, index, offset);
            if (at != 0xffffffffu && (index == 0xffffffffu || other > value || (other == value && at < index))) {
                value = other;
                index = at;
            }
        }
        if (round == 1) break;
        if (threadIdx.x % 32 == 0) {
            values[threadIdx.x / 32] = value;
            indices[threadIdx.x / 32] = index;
        }
        __syncthreads();
        const bool present = threadIdx.x % 32 < blockDim.x / 32;
        value = present ? values[threadIdx.x % 32] : -INFINITY;
        index = present ? indices[threadIdx.x % 32] : 0xffffffffu;
    }
    if (threadIdx.x == 0) best[blockIdx.x] = index;
}
