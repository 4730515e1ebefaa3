# i3d-live on the CPU.
#
#   docker build -t i3d-live .
#   docker run -p 127.0.0.1:7860:7860 -e I3D_LIVE_PASSWORD -v i3d-live:/cache i3d-live
#
# Everything after the image's name is passed on: docker run ... i3d-live run rtsp://camera/stream --mode continual

FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/i3d-live
ENV PATH=/opt/i3d-live/bin:$PATH
WORKDIR /src
COPY LICENSE README.md constraints.txt pyproject.toml ./
COPY engines engines
COPY realtime realtime
RUN pip install --constraint constraints.txt ".[view,int8]"
RUN i3d-live --version

FROM python:3.12-slim-bookworm
RUN useradd --uid 10001 --create-home i3d && install --directory --owner=i3d /cache
COPY --from=build /opt/i3d-live /opt/i3d-live
ENV PATH=/opt/i3d-live/bin:$PATH PYTHONUNBUFFERED=1 XDG_CACHE_HOME=/cache
USER i3d
WORKDIR /home/i3d
VOLUME /cache
EXPOSE 7860
# The program ends normally on Ctrl-C.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/', timeout=4)"]
ENTRYPOINT ["i3d-live"]
CMD ["view", "--host", "0.0.0.0"]
