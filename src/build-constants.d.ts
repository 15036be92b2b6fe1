/** The version in package.json, written in by the build (and by vitest.config.ts for tests that run the source). */
declare const GPUCTL_VERSION: string
