import {expect, test} from 'vitest'
import {SvgPainter} from '../../../src/platform/captcha-painter.ts'

test('a captcha is a picture of 240 × 80 that holds its digits as lines only', async () => {
  const picture = await new SvgPainter().draw('814093')

  const [, base64 = ''] = /^data:image\/svg\+xml;base64,(.+)$/.exec(picture) ?? []
  const svg = Buffer.from(base64, 'base64').toString()
  expect(svg).toMatch(/^<svg [^>]*width="240" height="80"/)
  expect(svg.match(/<path fill="[^"]+" d="/g)).toHaveLength(6)
  expect(svg).not.toContain('814093')
  expect(svg).not.toMatch(/<(text|script|foreignObject)/)
})
