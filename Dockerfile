# Two stages: what builds is not shipped. The image holds Node, the Claude Code CLI and one bundle.
FROM node:22-bookworm-slim AS build
# SQLite's driver is compiled where no prebuilt one is to be had.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends g++ make python3 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json ./
COPY packages/anthropic/package.json packages/anthropic/
COPY packages/ccflow/package.json packages/ccflow/
COPY packages/core/package.json packages/core/
COPY packages/node/package.json packages/node/
COPY packages/sql/package.json packages/sql/
COPY packages/testing/package.json packages/testing/
COPY scripts/native.mjs scripts/bootstrap.mjs scripts/
RUN npm ci --no-audit --no-fund
COPY tsconfig*.json LICENSE README.md ./
COPY scripts scripts
COPY packages packages
RUN npm run build \
  && mkdir -p /image/node_modules \
  && cp -r packages/ccflow/dist/bundle packages/ccflow/package.json packages/ccflow/LICENSE /image/ \
  && cp -rL node_modules/bindings node_modules/file-uri-to-path /image/node_modules/ \
  && mkdir -p /image/node_modules/better-sqlite3/build/Release \
  && cp -r node_modules/better-sqlite3/lib node_modules/better-sqlite3/package.json node_modules/better-sqlite3/LICENSE \
    /image/node_modules/better-sqlite3/ \
  && cp node_modules/better-sqlite3/build/Release/better_sqlite3.node /image/node_modules/better-sqlite3/build/Release/

FROM node:22-bookworm-slim
ARG CLAUDE_CODE_VERSION=2.1.330
# An init as process 1 collects what the CLI's tools leave behind, and hands signals on.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates git ripgrep tini \
  && rm -rf /var/lib/apt/lists/* \
  && npm install --global --no-audit --no-fund "@anthropic-ai/claude-code@${CLAUDE_CODE_VERSION}" \
  && npm cache clean --force \
  && usermod --login ccflow --home /home/ccflow --move-home node \
  && groupmod --new-name ccflow node \
  && install -d -o ccflow -g ccflow /home/ccflow /home/ccflow/.claude /data /workspace
COPY --from=build /image /opt/ccflow
RUN ln -s /opt/ccflow/bundle/main.js /usr/local/bin/ccflow
# The CLI is as installed: an image does not change itself.
ENV NODE_ENV=production \
  DISABLE_AUTOUPDATER=1 \
  CCFLOW_SESSION_STORAGE_PATH=/data/ccflow.db
USER ccflow
WORKDIR /workspace
VOLUME ["/data"]
EXPOSE 8080
# Of `serve`. For a single prompt it says nothing: that has ended before the first look.
HEALTHCHECK --interval=30s --timeout=5s --retries=3 CMD node -e "fetch('http://127.0.0.1:8080/health').then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"
ENTRYPOINT ["/usr/bin/tini", "--", "ccflow"]
CMD ["--help"]
