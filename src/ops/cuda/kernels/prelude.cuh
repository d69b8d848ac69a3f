// What every kernel file begins with: number types, eight elements at a time, sums over a warp and a block.
//
// No CUDA header is included: NVRTC alone then compiles a kernel, and no toolkit has to be installed. The same text is
// compiled as C++ by the emulator of the tests (emulate.h), which defines what the compiler of the card has built in.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void
#define DYNAMIC_SHARED(type, name) extern __shared__ __align__(16) type name[]
#define INFINITY __uint_as_float(0x7f800000u)
#endif

// The upper half of an f32: eight bits of exponent, seven of fraction.
struct bf16 {
    u16 bits;
};

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(bf16 x) { return __uint_as_float(u32(x.bits) << 16); }

// Two numbers as bf16, rounded to nearest even, `low` in the low half: one instruction where the card is.
__device__ __forceinline__ u32 pack_bf16(float low, float high) {
#ifdef __CUDACC__
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
#else
    return round_to_bf16(low) | round_to_bf16(high) << 16;
#endif
}

template <class T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ bf16 from_float<bf16>(float x) { return bf16{u16(pack_bf16(x, 0.0f))}; }

// Half precision (the factors of quantised blocks), by moving its bits to where f32 has them; an infinity becomes a
// finite number, but no block has one.
__device__ __forceinline__ float half_to_float(u16 h) {
    float magnitude = __uint_as_float(u32(h & 0x7fff) << 13) * __uint_as_float(0x77800000u);
    return __uint_as_float(__float_as_uint(magnitude) | u32(h & 0x8000) << 16);
}

// Eight neighbours: the widest load that a thread can issue, 16 bytes of bf16. Addresses are multiples of 16 bytes.
struct Eight {
    float v[8];
};

__device__ __forceinline__ Eight unpack_bf16(uint4 raw) {
    Eight e;
    u32 words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        e.v[2 * i] = __uint_as_float(words[i] << 16);
        e.v[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
    return e;
}

__device__ __forceinline__ Eight load8(const bf16* p) { return unpack_bf16(*reinterpret_cast<const uint4*>(p)); }

__device__ __forceinline__ Eight load8(const float* p) {
    const float4* q = reinterpret_cast<const float4*>(p);
    float4 a = q[0], b = q[1];
    return Eight{{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}

__device__ __forceinline__ void store8(bf16* p, const Eight& e) {
    uint4 raw;
    raw.x = pack_bf16(e.v[0], e.v[1]);
    raw.y = pack_bf16(e.v[2], e.v[3]);
    raw.z = pack_bf16(e.v[4], e.v[5]);
    raw.w = pack_bf16(e.v[6], e.v[7]);
    *reinterpret_cast<uint4*>(p) = raw;
}

__device__ __forceinline__ void store8(float* p, const Eight& e) {
    float4* q = reinterpret_cast<float4*>(p);
    q[0] = make_float4(e.v[0], e.v[1], e.v[2], e.v[3]);
    q[1] = make_float4(e.v[4], e.v[5], e.v[6], e.v[7]);
}

// Sums in a fixed order, the same in every lane: no atomics anywhere, so a run repeats to the bit.
__device__ __forceinline__ float warp_sum(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(0xffffffffu, x, offset);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
#pragma unroll
    for (int offset = 16; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, offset));
    return x;
}

// The sum over the threads of a block of at most 1024. Every thread calls it.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float parts[32];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = (blockDim.x + 31) / 32;
    x = warp_sum(x);
    // The parts of an earlier sum may still be read.
    __syncthreads();
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? parts[lane] : 0.0f);
}

__device__ __forceinline__ float block_max(float x) {
    __shared__ float parts[32];
    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = (blockDim.x + 31) / 32;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_max(lane < warps ? parts[lane] : -INFINITY);
}
