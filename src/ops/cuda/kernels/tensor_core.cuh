// The tensor core's product of a warp, and how tiles come to it from shared memory.
//
// m16n8k16 in bf16 with f32 sums exists since sm_80. With g = lane / 4 and t = lane % 4 a lane holds
//   A (16×16): a[0] = row g, columns 2t, 2t+1 · a[1] = row g+8 · a[2] = row g, columns 2t+8, 2t+9 · a[3] = row g+8, those
//   B (16×8):  b[0] = rows 2t, 2t+1 of column g · b[1] = rows 2t+8, 2t+9
//   C (16×8):  c[0], c[1] = row g, columns 2t, 2t+1 · c[2], c[3] = row g+8
// A C of two neighbouring column tiles, rounded to bf16, is therefore an A: the product of a product needs no shared memory.

__device__ __forceinline__ void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#ifdef __CUDACC__
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    emulated_mma(c, a, b0, b1);
#endif
}

// Four 8×8 tiles of 16-bit numbers. Lanes 8i to 8i+7 give the addresses of the eight rows of tile i; register i of lane
// l then holds elements 2t, 2t+1 of row g of tile i.
__device__ __forceinline__ void load_tiles(u32 (&r)[4], const bf16* row) {
#ifdef __CUDACC__
    u32 address = static_cast<u32>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
#else
    emulated_load_tiles(r, row, false);
#endif
}

// The same with each tile transposed: elements (2t, g) and (2t+1, g).
__device__ __forceinline__ void load_tiles_transposed(u32 (&r)[4], const bf16* row) {
#ifdef __CUDACC__
    u32 address = static_cast<u32>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(address)
                 : "memory");
#else
    emulated_load_tiles(r, row, true);
#endif
}

// 16 bytes from global to shared memory past the registers; zeros when `present` is false (nothing is read then).
__device__ __forceinline__ void copy_async(bf16* to, const bf16* from, bool present) {
#ifdef __CUDACC__
    u32 address = static_cast<u32>(__cvta_generic_to_shared(to));
    u32 bytes = present ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
#else
    emulated_copy_async(to, from, present);
#endif
}

// Closes the copies issued since the last call into a group.
__device__ __forceinline__ void close_copies() {
#ifdef __CUDACC__
    asm volatile("cp.async.commit_group;" ::: "memory");
#else
    emulated_close_copies();
#endif
}

// Waits until at most `PENDING` groups of this thread are under way.
template <int PENDING> __device__ __forceinline__ void wait_copies() {
#ifdef __CUDACC__
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#else
    emulated_wait_copies(PENDING);
#endif
}

// Rows in shared memory are D elements and eight more apart: the eight rows that a tile is read from then begin in
// different banks, for every D that is a multiple of 16 (64, 96, 128, 256 are used).
template <int D> struct Tile {
    static const int STRIDE = D + 8;

    // A: rows first..first+15, columns k..k+15.
    static __device__ __forceinline__ void a(u32 (&r)[4], const bf16* tile, int first, int k) {
        const int lane = threadIdx.x % 32;
        load_tiles(r, tile + (first + lane % 16) * STRIDE + k + lane / 16 * 8);
    }

    // B of two neighbouring column tiles from rows that are B's columns (x·Wᵀ): columns first..first+15 of B, its rows
    // k..k+15. r[0], r[1] belong to the first eight columns, r[2], r[3] to the others.
    static __device__ __forceinline__ void b_rows(u32 (&r)[4], const bf16* tile, int first, int k) {
        const int lane = threadIdx.x % 32;
        load_tiles(r, tile + (first + lane % 8 + lane / 16 * 8) * STRIDE + k + lane / 8 % 2 * 8);
    }

    // The same from rows that are B's rows: its rows k..k+15, its columns first..first+15.
    static __device__ __forceinline__ void b_columns(u32 (&r)[4], const bf16* tile, int k, int first) {
        const int lane = threadIdx.x % 32;
        load_tiles_transposed(r, tile + (k + lane % 16) * STRIDE + first + lane / 16 * 8);
    }
};
