/**
 * A program that the Docker driver starts in a container's network namespace. It listens at a socket file (argv 2) and
 * joins every connection with the loopback at the port that its first two bytes name; a byte 0 says that it is connected,
 * an end without it that it is not. The program ends with its standard input, which is its parent's life.
 */
import {connect, createServer, type Socket} from 'node:net'

function join(caller: Socket): void {
  caller.on('error', () => caller.destroy())
  caller.once('readable', () => {
    const head: Buffer | null = caller.read(2)
    if (head) dial(caller, head.readUInt16BE(0), ['127.0.0.1', '::1'])
    else caller.destroy()
  })
}

function dial(caller: Socket, port: number, [host, ...others]: string[]): void {
  const target = connect({port, host, allowHalfOpen: true, noDelay: true})
  const refused = () => (others.length > 0 ? dial(caller, port, others) : caller.destroy())
  target.once('error', refused)
  target.once('connect', () => {
    target.off('error', refused)
    target.on('error', () => caller.destroy())
    caller.on('close', () => target.destroy())
    caller.write(Buffer.of(0))
    caller.pipe(target).pipe(caller)
  })
}

const [, , path] = process.argv
createServer({allowHalfOpen: true}, join).listen(path, () => process.stdout.write('ready\n'))
process.stdin.on('end', () => process.exit(0)).resume()
