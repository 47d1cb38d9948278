"""Logistic regression on the breast cancer data of scikit-learn.

Needs SciPy and scikit-learn. The fit is the one of scikit-learn's LogisticRegression with the same penalty.
"""

import numpy as np
from scipy import optimize
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import kilograd


@kilograd.compile
def row_loss(w, x, sign):
    """The loss of one sample: log(1 + exp(-margin)), with the class as a sign."""
    return (-sign * (w[:-1] @ x + w[-1])).softplus()


def main():
    features, labels = load_breast_cancer(return_X_y=True)
    X, signs = StandardScaler().fit_transform(features), np.where(labels == 1, 1.0, -1.0)

    def loss(w):
        """The sum over all samples, and a penalty on the weights, with the gradient."""
        values, gradients = row_loss.batch.value_and_grad(np.broadcast_to(w, (len(X), w.size)), X, signs)
        penalty = np.append(w[:-1], 0.0)
        return values.sum() + 0.5 * penalty @ penalty, gradients.sum(axis=0) + penalty

    ours = optimize.minimize(loss, np.zeros(X.shape[1] + 1), jac=True, method="L-BFGS-B", options={"gtol": 1e-8})
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(X, labels)
    np.testing.assert_allclose(ours.x, np.append(theirs.coef_[0], theirs.intercept_), atol=2e-3)
    accuracy = ((X @ ours.x[:-1] + ours.x[-1] > 0) == (labels == 1)).mean()
    assert accuracy == theirs.score(X, labels)
    print(f"{len(X)} samples, {X.shape[1]} features: loss {ours.fun:.3f}, accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
