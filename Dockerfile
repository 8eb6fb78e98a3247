# The service in an image. It holds no secret and no data: both come by environment and mounted files when it runs.
#
#   docker build -t mediation .
#   docker run --rm -e MEDIATION_OWNER_URL  mediation migrate
#   docker run --rm -e MEDIATION_READER_URL mediation verify
#
# It runs migrate and verify, and serve once an identity provider is set: until then `serve --host 0.0.0.0` refuses, as the
# development issuer works on loopback only. So the image, run by itself, says what it can do.
#
# The folder is the same in both stages, so what finds its files by their place in the repository finds them here too.

FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /srv/mediation
RUN python -m venv /opt/mediation
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN /opt/mediation/bin/pip install --require-hashes -r requirements/runtime.txt -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/mediation/bin/pip install --no-deps --no-build-isolation --editable . \
    && /opt/mediation/bin/pip uninstall --yes setuptools pip

FROM python:3.11-slim-bookworm
ENV PATH=/opt/mediation/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /srv/mediation
COPY --from=build /opt/mediation /opt/mediation
COPY --from=build /srv/mediation /srv/mediation
COPY migrations migrations
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
ENTRYPOINT ["mediation"]
CMD ["--help"]
