"""Networks as scikit-learn's estimators."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_diabetes, load_iris, make_moons
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from kilograd import Value
from kilograd.estimators import KilogradClassifier, KilogradRegressor


@parametrize_with_checks([KilogradRegressor(), KilogradClassifier()])
def test_it_is_an_estimator(estimator, check):
    check(estimator)


def test_classes():
    X, y = make_moons(200, noise=0.1, random_state=0)
    names = np.array(["upper", "lower"])[y]
    found = KilogradClassifier((16, 16), epochs=100, batch_size=50, random_state=0).fit(X, names)
    assert found.score(X, names) > 0.97
    assert found.classes_.tolist() == ["lower", "upper"]
    p = found.predict_proba(X)
    assert np.allclose(p.sum(axis=1), 1.0)
    assert ((p[:, 1] > 0.5) == (found.decision_function(X) > 0)).all()
    assert isinstance(found.model_(X[0]), Value)
    assert len(found.history_.losses) == 100


def test_several_classes_in_a_pipeline_and_a_search():
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), KilogradClassifier(epochs=60, random_state=1))
    search = GridSearchCV(pipeline, {"kilogradclassifier__learning_rate": [1e-5, 0.02]}, cv=3).fit(X, y)
    assert search.best_params_ == {"kilogradclassifier__learning_rate": 0.02}
    assert search.best_score_ > 0.9
    p = search.predict_proba(X)
    assert p.shape == (150, 3)
    assert (search.predict(X) == p.argmax(axis=1)).all()


def test_regression():
    X, y = load_diabetes(return_X_y=True)
    model = make_pipeline(StandardScaler(), KilogradRegressor((), epochs=100, learning_rate=1.0, random_state=0))
    assert cross_val_score(model, X, y, cv=3).mean() > 0.4
    both = KilogradRegressor((8,), loss="huber", epochs=5, random_state=0).fit(X, np.column_stack([y, -y]))
    assert both.predict(X[:3]).shape == (3, 2)
    one = KilogradRegressor((8,), epochs=5, random_state=0).fit(X, y[:, None])
    assert one.predict(X[:3]).shape == (3, 1)


def test_a_state_gives_the_same_network_and_leaves_the_global_one_alone():
    X, y = make_moons(50, random_state=0)
    random.seed(5)
    expected = random.random()
    random.seed(5)
    runs = [KilogradClassifier(epochs=3, random_state=seed).fit(X, y).decision_function(X) for seed in (0, 0, 1)]
    assert random.random() == expected
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).any()
    fitted = KilogradClassifier(epochs=3, random_state=0).fit(X, y)
    assert (pickle.loads(pickle.dumps(fitted)).predict_proba(X) == fitted.predict_proba(X)).all()


def test_what_is_refused():
    X, y = make_moons(20, random_state=0)
    with pytest.raises(ValueError, match="optimizer is one of sgd, adam, adamw, rmsprop, not 'lbfgs'"):
        KilogradClassifier(optimizer="lbfgs").fit(X, y)
    with pytest.raises(ValueError, match="loss is one of mse, huber, log_cosh, not 'hinge'"):
        KilogradRegressor(loss="hinge").fit(X, y)
    with pytest.raises(ValueError, match="activation 'step' is neither"):
        KilogradRegressor(activation="step").fit(X, y)
    with pytest.raises(ValueError, match="one class alone"):
        KilogradClassifier().fit(X, np.zeros(20))


def test_without_scikit_learn(run_python):
    program = """
import sys
sys.modules["sklearn"] = None
try:
    import kilograd.estimators
except ImportError as error:
    print(error)
"""
    assert "pip install 'kilograd[sklearn]'" in run_python(program)
