# make demo    from nothing to predictions over a real clip, in demo-out/
# make test    format, lint, types and all tests
# Both do all of their set-up. PYTHON names another interpreter than python3.

.PHONY: demo test format clean
.DELETE_ON_ERROR:

demo:
	@scripts/setup build
	@.venv/bin/i3d-live demo --out demo-out

test:
	@scripts/setup build,dev
	@scripts/system-packages $(TEST_PACKAGES) || true
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/pytest

format:
	@scripts/setup build,dev
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

clean:
	rm -rf .venv demo-out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What tests need of the system; see tests/conftest.py.
TEST_PACKAGES = chromium mosquitto
