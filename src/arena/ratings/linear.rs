//! The little linear algebra that ratings need: symmetric positive definite systems by Cholesky, in f64.

/// A square matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    /// Rows and columns.
    pub n: usize,
    /// `n * n` values.
    pub values: Vec<f64>,
}

impl Matrix {
    pub fn zero(n: usize) -> Matrix {
        Matrix { n, values: vec![0.0; n * n] }
    }

    pub fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.n + column]
    }

    pub fn add(&mut self, row: usize, column: usize, value: f64) {
        self.values[row * self.n + column] += value;
    }

    /// Adds `value` times the Laplacian of the edge (i, j): what one comparison contributes.
    pub fn add_edge(&mut self, i: usize, j: usize, value: f64) {
        self.add(i, i, value);
        self.add(j, j, value);
        self.add(i, j, -value);
        self.add(j, i, -value);
    }

    pub fn transpose(&mut self) {
        for row in 0..self.n {
            for column in 0..row {
                self.values.swap(row * self.n + column, column * self.n + row);
            }
        }
    }

    pub fn times(&self, other: &Matrix) -> Matrix {
        let mut out = Matrix::zero(self.n);
        for i in 0..self.n {
            for k in 0..self.n {
                let left = self.at(i, k);
                for j in 0..self.n {
                    out.add(i, j, left * other.at(k, j));
                }
            }
        }
        out
    }

    /// The lower triangle L with L·Lᵀ = self; `None` unless self is positive definite.
    pub fn cholesky(&self) -> Option<Cholesky> {
        let n = self.n;
        let mut lower = Matrix::zero(n);
        for i in 0..n {
            for j in 0..=i {
                let dot: f64 = (0..j).map(|k| lower.at(i, k) * lower.at(j, k)).sum();
                let rest = self.at(i, j) - dot;
                let value = if i == j {
                    if rest.is_nan() || rest <= 0.0 {
                        return None;
                    }
                    rest.sqrt()
                } else {
                    rest / lower.at(j, j)
                };
                lower.values[i * n + j] = value;
            }
        }
        Some(Cholesky { lower })
    }
}

/// A factored symmetric positive definite matrix.
pub(super) struct Cholesky {
    lower: Matrix,
}

impl Cholesky {
    /// x with A·x = b.
    pub fn solve(&self, b: &[f64]) -> Vec<f64> {
        let (n, l) = (self.lower.n, &self.lower);
        let mut x = b.to_vec();
        for i in 0..n {
            let dot: f64 = (0..i).map(|k| l.at(i, k) * x[k]).sum();
            x[i] = (x[i] - dot) / l.at(i, i);
        }
        for i in (0..n).rev() {
            let dot: f64 = (i + 1..n).map(|k| l.at(k, i) * x[k]).sum();
            x[i] = (x[i] - dot) / l.at(i, i);
        }
        x
    }

    /// A⁻¹.
    pub fn inverse(&self) -> Matrix {
        let n = self.lower.n;
        let mut out = Matrix::zero(n);
        for column in 0..n {
            let mut unit = vec![0.0; n];
            unit[column] = 1.0;
            for (row, value) in self.solve(&unit).into_iter().enumerate() {
                out.values[row * n + column] = value;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverse_times_matrix_is_the_identity() {
        let a = Matrix { n: 3, values: vec![4.0, 1.0, 0.5, 1.0, 3.0, -1.0, 0.5, -1.0, 2.0] };
        let product = a.cholesky().unwrap().inverse().times(&a);
        for i in 0..3 {
            for j in 0..3 {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((product.at(i, j) - expected).abs() < 1e-12);
            }
        }
        assert_eq!(
            a.cholesky().unwrap().solve(&[5.5, 3.0, 1.5]).iter().map(|x| x.round()).collect::<Vec<_>>(),
            [1.0, 1.0, 1.0]
        );
    }

    #[test]
    fn a_singular_matrix_has_no_factor() {
        let mut laplacian = Matrix::zero(2);
        laplacian.add_edge(0, 1, 1.0);
        assert!(laplacian.cholesky().is_none());
        assert!(Matrix { n: 1, values: vec![f64::NAN] }.cholesky().is_none());
    }
}
