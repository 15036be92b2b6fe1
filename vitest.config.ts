import {readFileSync} from 'node:fs'
import {defineConfig, type TestProjectConfiguration} from 'vitest/config'

const {version} = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as {version: string}

/** One project per folder of test/, with the longest time that one of its tests may take. */
function project(name: string, testTimeoutMs: number, hookTimeoutMs = testTimeoutMs): TestProjectConfiguration {
  return {
    extends: true,
    test: {name, include: [`test/${name}/**/*.test.ts`], testTimeout: testTimeoutMs, hookTimeout: hookTimeoutMs},
  }
}

export default defineConfig({
  define: {GPUCTL_VERSION: JSON.stringify(version)},
  test: {
    // Not threads: the SQLite binding aborts the process when a thread that uses it is ended, and tests start children.
    pool: 'forks',
    maxWorkers: 2,
    sequence: {concurrent: false},
    maxConcurrency: 2,
    // Where another program may take the processor for seconds: once more, and the reporter names each such test.
    retry: process.env.CI === 'true' ? 1 : 0,
    reporters: ['default', './test/support/reporter.ts'],
    projects: [
      project('unit', 10_000),
      project('dialects', 20_000, 30_000),
      project('cli', 30_000),
      project('architecture', 60_000),
      project('conformance', 60_000),
      project('e2e', 120_000),
      // A stage of its own, `npm run test:vm`; `npm test` runs it beside the others.
      ...(process.env.GPUCTL_VM_STAGE ? [project('vm', 10_000)] : []),
    ],
  },
})
