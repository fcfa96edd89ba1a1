# One image for web, worker and cron: docker build --build-arg GIT_COMMIT_SHA=$(git rev-parse HEAD) -t app .
FROM python:3.13-slim AS build
RUN ["pip", "install", "--no-cache-dir", "--root-user-action=ignore", "uv"]
COPY . /source
RUN ["sh", "/source/deploy/build.sh", "/app"]

FROM python:3.13-slim
COPY --from=build /app /app
ENV PATH=/app/bin:/usr/local/bin:/usr/bin:/bin \
    PILLARS_ENV=prod \
    PILLARS_PROJECT=/app/project
ARG GIT_COMMIT_SHA=
ENV GIT_COMMIT_SHA=$GIT_COMMIT_SHA
WORKDIR /app/project
USER 10001:10001
EXPOSE 8000
CMD ["app", "web"]
