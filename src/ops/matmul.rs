//! Matrix product on strided views: a safe face on the `gemm` crate.

/// Whether a product may use all cores. Inside a parallel loop it must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The calling thread only.
    One,
    /// All of rayon's threads.
    All,
}

/// A read-only matrix inside a slice.
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

/// A writable row-major matrix inside a slice; rows may be further apart than they are long.
pub struct ViewMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

/// Index one past the last element, for the bounds check that makes the unsafe call sound.
fn extent(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> usize {
    if rows == 0 || cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 }
}

impl<'a> View<'a> {
    /// The contiguous row-major matrix `[rows, cols]` at the start of `data`.
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        View::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows begin `row_stride` elements apart.
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(extent(rows, cols, row_stride, 1) <= data.len(), "matrix view outside its slice");
        View { data, rows, cols, row_stride, col_stride: 1 }
    }

    /// The same matrix transposed.
    #[must_use]
    pub fn t(self) -> Self {
        View {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            data: self.data,
        }
    }
}

impl<'a> ViewMut<'a> {
    /// The contiguous row-major matrix `[rows, cols]` at the start of `data`.
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        ViewMut::strided(data, rows, cols, cols)
    }

    /// A row-major matrix whose rows begin `row_stride` elements apart.
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, row_stride: usize) -> Self {
        assert!(extent(rows, cols, row_stride, 1) <= data.len(), "matrix view outside its slice");
        assert!(rows < 2 || row_stride >= cols, "rows of a writable matrix must not overlap");
        ViewMut { data, rows, cols, row_stride }
    }
}

/// `out = keep·out + scale·a·b`, `a` [m, k], `b` [k, n], `out` [m, n]. With `keep = 0` the old contents are not read.
pub fn matmul(out: ViewMut<'_>, keep: f32, a: View<'_>, b: View<'_>, scale: f32, threads: Threads) {
    assert!(a.rows == out.rows && b.cols == out.cols && a.cols == b.rows, "matrix shapes do not fit");
    if out.rows == 0 || out.cols == 0 {
        return;
    }
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    // SAFETY: the views' constructors checked that every index of every matrix lies in its slice, the
    // shapes fit, and `out` is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            out.rows,
            out.cols,
            a.cols,
            out.data.as_mut_ptr(),
            1,
            out.row_stride as isize,
            keep != 0.0,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            keep,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_of_strided_and_transposed_views_equals_the_definition() {
        let (m, k, n) = (5, 7, 3);
        let a: Vec<f32> = (0..m * 10).map(|i| (i as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..n * k).map(|i| (i as f32 * 0.91).cos()).collect();
        let mut out = vec![1.0f32; m * 4];
        matmul(
            ViewMut::strided(&mut out, m, n, 4),
            0.5,
            View::strided(&a, m, k, 10),
            View::new(&b, n, k).t(),
            2.0,
            Threads::One,
        );
        for i in 0..m {
            for j in 0..n {
                let dot: f32 = (0..k).map(|p| a[i * 10 + p] * b[j * k + p]).sum();
                assert!((out[i * 4 + j] - (0.5 + 2.0 * dot)).abs() < 1e-5);
            }
            assert_eq!(out[i * 4 + 3], 1.0, "a column outside the view was written");
        }
    }
}
