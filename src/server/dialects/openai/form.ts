import {problem} from '../../../domain/errors.ts'

const mostHeadBytes = 8 * 1024
const mostParts = 64
const mostNameBytes = 256
const lineEnd = '\r\n'
const headEnd = Buffer.from('\r\n\r\n')

/**
 * The field `model` of a multipart form (RFC 7578), found without copying the files beside it. `{}` when there is none.
 * Throws input_unreadable when it is no such form, input_invalid when the field is given twice.
 */
export function modelOfForm(body: Buffer, contentType: string): {model?: string} {
  const delimiter = Buffer.from(`--${boundaryOf(contentType)}`)
  let found: string | undefined
  let at = body.indexOf(delimiter)
  if (at > 0 && body.subarray(at - 2, at).toString('latin1') !== lineEnd)
    throw unreadable('it does not begin with a part')
  for (let parts = 0; at !== -1; parts++) {
    if (parts > mostParts) throw unreadable(`it has more than ${mostParts} parts`)
    const start = at + delimiter.length
    const mark = body.subarray(start, start + 2).toString('latin1')
    if (mark === '--') break
    if (mark !== lineEnd) throw unreadable('a boundary does not stand alone')
    const end = body.indexOf(`${lineEnd}${delimiter.toString('latin1')}`, start, 'latin1')
    if (end === -1) throw unreadable('it has no end')
    const text = modelIn(body.subarray(start, end))
    if (text !== undefined && found !== undefined) {
      throw problem('input_invalid', {field: 'model', problem: 'is given twice', fix: 'Give it once.'})
    }
    found ??= text
    at = end + lineEnd.length
  }
  if (at === -1) throw unreadable('it has no part')
  return found === undefined ? {} : {model: found}
}

/** RFC 2046, 5.1.1: 1 to 70 characters. */
function boundaryOf(contentType: string): string {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType) ?? []
  const boundary = quoted ?? plain
  if (!boundary) throw unreadable('its Content-Type names no boundary')
  return boundary
}

/** The value of the part when it is the field `model`, and not a file. */
function modelIn(part: Buffer): string | undefined {
  const split = part.subarray(0, mostHeadBytes).indexOf(headEnd)
  if (split === -1) throw unreadable('a part has no head')
  const head = part.subarray(0, split).toString('utf8')
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? ''
  if (/;\s*filename\*?=/i.test(disposition) || !/;\s*name=(?:"model"|model)(?:\s*;|\s*$)/i.test(disposition))
    return undefined
  const value = part.subarray(split + headEnd.length)
  if (value.length > mostNameBytes) {
    throw problem('input_invalid', {
      field: 'model',
      problem: 'is too long',
      fix: `Give at most ${mostNameBytes} bytes.`,
    })
  }
  return value.toString('utf8')
}

function unreadable(wrong: string): Error {
  return problem('input_unreadable', {problem: wrong})
}
