import fc from 'fast-check'
import {expect, test} from 'vitest'
import {modelOfForm} from '../../../src/server/dialects/openai/form.ts'

async function formOf(fields: Record<string, string | Blob>): Promise<[Buffer, string]> {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value as string)
  const response = new Response(form)
  return [Buffer.from(await response.arrayBuffer()), response.headers.get('content-type') ?? '']
}

test('the model of a form is found wherever it stands, whatever bytes the file beside it has', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({maxLength: 2_000}),
      fc.boolean(),
      fc.stringMatching(/^[\w./:-]{1,60}$/),
      async (bytes, isFirst, model) => {
        const file = {file: new Blob([bytes as Uint8Array<ArrayBuffer>])}
        const [body, type] = await formOf(isFirst ? {model, ...file} : {...file, language: 'en', model})
        expect(modelOfForm(body, type)).toEqual({model})
      },
    ),
    {numRuns: 200},
  )
})

test('a file called model is not the model; a form without one has none', async () => {
  expect(modelOfForm(...(await formOf({model: new Blob(['whisper'])})))).toEqual({})
  expect(modelOfForm(...(await formOf({language: 'en'})))).toEqual({})
})

test.each([
  ['no boundary', 'x', 'multipart/form-data', 'input_unreadable'],
  ['not a form', 'x', 'multipart/form-data; boundary=b', 'input_unreadable'],
  [
    'no end',
    '--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nx',
    'multipart/form-data; boundary=b',
    'input_unreadable',
  ],
  ['a part without a head', '--b\r\nx\r\n--b--', 'multipart/form-data; boundary=b', 'input_unreadable'],
  [
    'two models',
    ['a', 'b']
      .map(name => `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n${name}\r\n`)
      .join('')
      .concat('--b--'),
    'multipart/form-data; boundary="b"',
    'input_invalid',
  ],
  [
    'a name without end',
    `--b\r\nContent-Disposition: form-data; name=model\r\n\r\n${'x'.repeat(300)}\r\n--b--`,
    'multipart/form-data; boundary="b"',
    'input_invalid',
  ],
])('refused: %s', (_, body, type, code) => {
  expect(() => modelOfForm(Buffer.from(body), type)).toThrow(expect.objectContaining({code}))
})

test('no bytes make it fail otherwise', () => {
  const piece = fc.constantFrom('--b', '--b--', '\r\n', '\r\n\r\n', 'content-disposition: form-data; name="model"', 'x')
  fc.assert(
    fc.property(fc.array(piece, {maxLength: 30}), pieces => {
      try {
        modelOfForm(Buffer.from(pieces.join('')), 'multipart/form-data; boundary=b')
      } catch (error) {
        expect(error).toMatchObject({name: 'DomainError'})
      }
    }),
    {numRuns: 2_000},
  )
})
