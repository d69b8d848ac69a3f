// Brings the trained factors, which lie one after another in f32, to where the products read them: B's columns beside a
// frozen weight, s·A's rows below it, in the products' number type. One launch for all factors of a model.
//
// A list says for each factor where it lies, where it goes (an address of any matrix) and by what it is multiplied. Rows of
// a factor need no alignment. 42 M values (Llama-3-8B, rank 16, all projections): 168 MB read, 84 MB written: floor 75 µs on an
// H100; B's rows are short, so about twice that is expected; once a step.

struct Placement {
    u64 from;
    u64 to;
    u32 rows;
    u32 width;
    u32 stride;
    float scale;
};

template <class T> __device__ void place(const float* values, const Placement* list) {
    const Placement p = list[blockIdx.y];
    T* to = reinterpret_cast<T*>(p.to);
    const u64 count = u64(p.rows) * p.width;
    for (u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += u64(gridDim.x) * blockDim.x)
        to[i / p.width * p.stride + i % p.width] = from_float<T>(values[p.from + i] * p.scale);
}
KERNEL place_factors_float(const float* values, const Placement* list) { place<float>(values, list); }
KERNEL place_factors_bf16(const float* values, const Placement* list) { place<bf16>(values, list); }
