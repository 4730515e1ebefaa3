# make demo    from nothing to predictions over a real clip, in demo-out/
# make view    the live view in the browser; SOURCE="rtsp://... webcam:0" names what it offers
# make test    format, lint, types and all tests, two files at a time, each with one torch thread (more would compete)
# make screenshots    pictures of the live view for docs/, taken by its tests
# make bench   repeat the measurements of docs/benchmarks.md, in a quarter of an hour (the first time, engines are built
#              before); nothing else should be running. bench-long: the other tables
# make pages   regenerate all generated pages, tables and drawings
# make soak    a day of video and half an hour of a camera, in about an hour; writes benchmarks/results/soak.json
# All do their own set-up. PYTHON names another interpreter than python3.

.PHONY: demo view test screenshots bench bench-long pages soak format clean
.DELETE_ON_ERROR:

demo:
	@scripts/setup base
	@.venv/bin/i3d-live demo --out demo-out

view:
	@scripts/setup view
	@.venv/bin/i3d-live view $(SOURCE)

test:
	@scripts/setup $(ALL)
	@scripts/system-packages $(TEST_PACKAGES) || true
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/lint-imports
	.venv/bin/mypy & types=$$!; \
	OMP_NUM_THREADS=1 .venv/bin/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder; tests=$$?; \
	wait $$types && exit $$tests

screenshots:
	@scripts/setup $(ALL)
	I3D_SCREENSHOTS=docs .venv/bin/pytest tests/realtime/view/test_real.py

bench:
	@scripts/setup $(ALL)
	for name in $(BENCHMARKS); do .venv/bin/python -m benchmarks.$$name || exit 1; done
	.venv/bin/python -m benchmarks.tables

bench-long:
	@scripts/setup $(ALL)
	for name in $(LONG_BENCHMARKS); do .venv/bin/python -m benchmarks.$$name || exit 1; done
	.venv/bin/python -m benchmarks.tables

pages:
	@scripts/setup $(ALL)
	.venv/bin/python -m tests.support.errors_page
	.venv/bin/python -m tests.support.commands_page
	.venv/bin/python -m benchmarks.tables
	.venv/bin/python docs/pictures.py

soak:
	@scripts/setup $(ALL)
	.venv/bin/python -m benchmarks.soak

format:
	@scripts/setup $(ALL)
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

clean:
	rm -rf .venv demo-out build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

ALL = view,int8,teach,torch,train,cluster,dev

BENCHMARKS = latency flow end_to_end reaction bundle
LONG_BENCHMARKS = peers growth cameras engines

# System packages that tests need; see tests/conftest.py.
TEST_PACKAGES = chromium libatomic1 mosquitto python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
	gstreamer1.0-plugins-bad
