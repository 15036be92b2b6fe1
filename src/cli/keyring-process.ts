/**
 * `ACT ACCOUNT`, the password on standard input: one call of the system's keyring, answered as a line of JSON. A program of
 * its own, because the library stands still while the bus is silent or a locked keyring waits for its owner.
 */
async function main([act, account = '']: string[]): Promise<unknown> {
  const {getPassword, setPassword, deletePassword} = await import('keytar/keytar.js')
  if (act === 'get') return getPassword(service, account)
  if (act === 'delete') return deletePassword(service, account)
  const pieces: Buffer[] = []
  for await (const piece of process.stdin as AsyncIterable<Buffer>) pieces.push(piece)
  return setPassword(service, account, Buffer.concat(pieces).toString('utf8'))
}

const service = 'gpuctl'

main(process.argv.slice(2)).then(
  answer => process.stdout.write(`${JSON.stringify({answer: answer ?? null})}\n`),
  error => process.stdout.write(`${JSON.stringify({error: (error as Error).message})}\n`),
)
