import {expect, test} from 'vitest'
import {describeError} from '../../src/cli/error-report.ts'
import {exitCodeOf} from '../../src/cli/exit-codes.ts'
import {ApiError, UnreachableError} from '../../src/client/api-error.ts'

test.each([
  ['input_invalid', 400, 2],
  ['key_reused', 422, 2],
  ['login_required', 401, 4],
  ['token_expired', 401, 4],
  ['role_too_low', 403, 8],
  ['claim_over_quota', 403, 6],
  ['claim_impossible', 409, 6],
  ['not_found', 404, 3],
  ['code_unknown', 404, 3],
  ['name_taken', 409, 5],
  ['instance_finished', 409, 5],
  ['too_many', 429, 7],
  ['store_unavailable', 503, 7],
  ['node_failed', 502, 1],
  ['internal', 500, 1],
  ['not_gpuctl', 404, 7],
  ['not_gpuctl', 200, 7],
  ['from_the_future', 409, 5],
  ['from_the_future', 418, 1],
])('%s (HTTP %i) ends with %i', (code, status, expected) => {
  expect(exitCodeOf(code, status)).toBe(expected)
  const error = new ApiError({code, status, message: 'm', hint: 'h', details: {}, requestId: 'r'})
  expect(describeError(error)).toMatchObject({code, exitCode: expected, isServersFault: status >= 500})
})

test('no server, and a certificate that is not trusted, end with 7', () => {
  const causes = ['ECONNREFUSED', 'ENOTFOUND', 'ETIMEDOUT', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'ECONNRESET']
  const reports = causes.map(code =>
    describeError(new UnreachableError('http://x', Object.assign(new Error('m'), {code}))),
  )
  expect(reports.map(({exitCode}) => exitCode)).toEqual([7, 7, 7, 7, 7])
  expect(reports.map(({code}) => code)).toEqual([
    ...['server_unreachable', 'server_unreachable', 'server_silent', 'tls_failed', 'server_unreachable'],
  ])
})
