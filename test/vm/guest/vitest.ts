import {
  ASYMMETRIC_MATCHERS_OBJECT,
  chai,
  GLOBAL_EXPECT,
  JestAsymmetricMatchers,
  JestChaiExpect,
  JestExtend,
} from '@vitest/expect'

// What a test file finds as `vitest` in the machine: the same parts, without Vite, whose start takes a minute there.

export {afterAll, afterEach, beforeAll, beforeEach, describe, onTestFinished, test} from '@vitest/runner'

chai.use(JestExtend)
chai.use(JestChaiExpect)
chai.use(JestAsymmetricMatchers)
const globals = globalThis as unknown as Record<symbol, object>
export const expect = Object.assign(chai.expect, globals[ASYMMETRIC_MATCHERS_OBJECT])
globals[GLOBAL_EXPECT] = expect
