"""Expected calibration figures for tests/oracle_calibration.rs: numpy and scikit-learn on random log-likelihoods.

    python calibration.py > calibration.json
"""
import json

import numpy as np
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

rng = np.random.default_rng(2023)
lls = -rng.gamma(2.0, 2.0, size=(150, 4)).round(4)
lls[0] = [-1.0, -1.0, -1.0, -1.0]  # a tie: the first counts
gold = np.where(rng.random(150) < 0.45, lls.argmax(1), rng.integers(0, 4, 150))
p = softmax(lls, axis=1)
top, sure = p.argmax(1), p.max(1)
right = (top == gold).astype(float)

# Bins (lower, upper] of equal width, as in Guo et al.'s own code.
edges = np.linspace(0, 1, 16)
ece, mce, bins = 0.0, 0.0, []
for low, high in zip(edges[:-1], edges[1:]):
    inside = (sure > low) & (sure <= high)
    bins.append(int(inside.sum()))
    if inside.any():
        gap = abs(right[inside].mean() - sure[inside].mean())
        ece += inside.mean() * gap
        mce = max(mce, gap)

print(json.dumps({
    "items": [{"loglikelihoods": row.tolist(), "gold": int(g)} for row, g in zip(lls, gold)],
    "n_per_bin": bins,
    "ece": float(ece),
    "mce": float(mce),
    "brier": float(brier_score_loss(gold, p, labels=[0, 1, 2, 3], scale_by_half=False)),
    "log_loss": float(log_loss(gold, p, labels=[0, 1, 2, 3])),
    "accuracy": float(right.mean()),
    "confidence": float(sure.mean()),
}))
