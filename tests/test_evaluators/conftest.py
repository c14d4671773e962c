"""The search of the engine's tests."""

from tests.test_engine.conftest import fast_training as fast_training
