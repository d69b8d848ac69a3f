//! The kernel files, and what each is compiled from.

/// A kernel: the file it is in and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kernel {
    /// Where it is.
    pub file: KernelFile,
    /// Its name in that file.
    pub name: &'static str,
}

macro_rules! files {
    ($($(#[$meta:meta])* $variant:ident = $file:literal + [$($header:literal),*] { $($kernel:literal)* })*) => {
        /// A file of kernels, compiled as a whole.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum KernelFile { $($(#[$meta])* $variant,)* }

        impl KernelFile {
            /// All of them.
            pub const ALL: &[KernelFile] = &[$(KernelFile::$variant),*];

            /// The file's name.
            pub fn name(self) -> &'static str {
                match self { $(KernelFile::$variant => $file,)* }
            }

            /// Its kernels.
            pub fn kernels(self) -> &'static [&'static str] {
                match self { $(KernelFile::$variant => &[$($kernel),*],)* }
            }

            /// What is compiled: the common part, what the file builds on, the file. Lines are counted per part, so that
            /// a compiler's message names the right one.
            pub fn source(self) -> String {
                let parts: &[(&str, &str)] = match self {
                    $(KernelFile::$variant => &[
                        ("prelude.cuh", include_str!("kernels/prelude.cuh")),
                        $(($header, include_str!(concat!("kernels/", $header))),)*
                        ($file, include_str!(concat!("kernels/", $file))),
                    ],)*
                };
                parts.iter().map(|(name, text)| format!("#line 1 \"{name}\"\n{text}\n")).collect()
            }
        }
    };
}

files! {
    /// Normalisation.
    RmsNorm = "rms_norm.cu" + [] {
        "rms_norm_float" "rms_norm_bf16" "rms_norm_again_float" "rms_norm_again_bf16" "rms_norm_backward_float" "rms_norm_backward_bf16"
        "head_norm_float" "head_norm_bf16" "head_norm_backward_float" "head_norm_backward_bf16"
    }
    /// Rotary positions.
    Rope = "rope.cu" + [] { "rope_float" "rope_bf16" }
    /// Gated activation.
    Swiglu = "swiglu.cu" + [] { "swiglu_float" "swiglu_bf16" "swiglu_backward_float" "swiglu_backward_bf16" }
    /// Small operations on rows.
    Elementwise = "elementwise.cu" + [] {
        "add_bias_float" "add_bias_bf16" "cast_float_bf16" "cast_bf16_float" "gather_rows_float" "gather_rows_bf16"
        "scatter_rows_float" "scatter_rows_bf16" "dropout_float" "dropout_bf16" "embedding_noise_float" "embedding_noise_bf16"
    }
    /// Attention of prompts and training batches.
    AttentionForward = "attention_forward.cu" + ["tensor_core.cuh"] {
        "attention_64" "attention_96" "attention_128" "attention_256"
    }
    /// Its gradients.
    AttentionBackward = "attention_backward.cu" + ["tensor_core.cuh"] {
        "attention_inner"
        "attention_keys_backward_64" "attention_keys_backward_96" "attention_keys_backward_128" "attention_keys_backward_256"
        "attention_queries_backward_64" "attention_queries_backward_96" "attention_queries_backward_128"
        "attention_queries_backward_256"
    }
    /// Both, without tiles: f32, and other head sizes.
    AttentionPlain = "attention_plain.cu" + [] {
        "attention_plain_float" "attention_plain_bf16" "attention_pooled_float" "attention_pooled_bf16" "attention_plain_queries_float" "attention_plain_queries_bf16"
        "attention_plain_keys_float" "attention_plain_keys_bf16"
    }
    /// Attention of one new row a sequence.
    AttentionDecode = "attention_decode.cu" + [] {
        "attention_decode_float_64_4" "attention_decode_float_64_8" "attention_decode_float_96_4" "attention_decode_float_96_8"
        "attention_decode_float_128_4" "attention_decode_float_128_8" "attention_decode_float_256_4"
        "attention_decode_bf16_64_4" "attention_decode_bf16_64_8" "attention_decode_bf16_96_4" "attention_decode_bf16_96_8"
        "attention_decode_bf16_128_4" "attention_decode_bf16_128_8" "attention_decode_bf16_256_4" "attention_decode_join"
    }
    /// The softmax of the output layer.
    CrossEntropy = "cross_entropy.cu" + [] {
        "cross_entropy_float" "cross_entropy_bf16" "cross_entropy_exact" "add_to_total" "argmax_float"
    }
    /// The optimiser.
    Adamw = "adamw.cu" + [] { "gradient_squares" "gradient_norm" "adamw" }
    /// Trained factors to where products read them.
    Factors = "factors.cu" + [] { "place_factors_float" "place_factors_bf16" }
    /// Quantised rows to bf16.
    Dequantise = "dequantise.cu" + ["quantised.cuh"] {
        "dequantise_Q8_0" "dequantise_Q4_0" "dequantise_Q4_1" "dequantise_Q4_K" "dequantise_Q6_K"
    }
    /// Products of decoding.
    MatrixVector = "matrix_vector.cu" + ["quantised.cuh"] {
        "matrix_vector_float_2" "matrix_vector_float_8" "matrix_vector_bf16_2" "matrix_vector_bf16_8"
        "matrix_vector_Q8_0_2" "matrix_vector_Q8_0_8" "matrix_vector_Q4_0_2" "matrix_vector_Q4_0_8"
        "matrix_vector_Q4_1_2" "matrix_vector_Q4_1_8" "matrix_vector_Q4_K_2" "matrix_vector_Q4_K_8"
        "matrix_vector_Q6_K_2" "matrix_vector_Q6_K_8" "gated_float_2" "gated_float_8" "gated_bf16_2" "gated_bf16_8"
        "gated_Q8_0_2" "gated_Q8_0_8" "gated_Q4_0_2" "gated_Q4_0_8" "gated_Q4_1_2" "gated_Q4_1_8" "gated_Q4_K_2"
        "gated_Q4_K_8" "gated_Q6_K_2" "gated_Q6_K_8" "low_rank"
    }
    /// What else a step of inference does.
    Inference = "inference.cu" + [] {
        "embed_rows_float" "embed_rows_bf16" "norm_rows_float" "norm_rows_bf16" "cache_rows_float_float"
        "cache_rows_float_bf16" "cache_rows_bf16_bf16" "scale_columns_float" "scale_columns_bf16" "token_logprobs"
    }
}
