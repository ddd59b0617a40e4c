# A worker: `docker build -t millrace .`, then `docker run millrace run`. Settings come from the environment, secrets as
# files (*_FILE). What is read here is what runs: Node takes the TypeScript as it is. The digest is what is pulled; the tag is for people.
FROM node:24.21.0-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6 AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev
COPY src src
RUN node src/cli/sbom.ts > sbom.json

FROM node:24.21.0-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
ENV NODE_ENV=production \
    MILLRACE_HTTP_HOST=0.0.0.0
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
# What is in the image, by name, version and licence (CycloneDX).
COPY --from=packages /app/sbom.json sbom.json
COPY package.json ./
COPY bin bin
COPY topics topics
COPY schemas schemas
COPY src src
# By number, so that Kubernetes can check runAsNonRoot; 1000 is the user `node` of the image.
USER 1000:1000
EXPOSE 9464
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MILLRACE_HTTP_PORT ?? 9464}/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "bin/millrace.js"]
CMD ["run"]
