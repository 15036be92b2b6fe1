/**
 * Runs inside a network namespace of its own (see network-lab.ts): a canary that counts who connects to it at any
 * address and answers like a runtime, a control server, and a loop that does what the test asks for, one JSON line each
 * way.
 */
import {execFile, spawn} from 'node:child_process'
import {createServer, request} from 'node:http'
import {connect} from 'node:net'
import {createInterface} from 'node:readline'

const [program, data, canaryPort, ...listeners] = process.argv.slice(2)
const connected = []

const canary = createServer((_, response) => {
  response.writeHead(200, {'content-type': 'application/json'}).end('{"data":[{"id":"gpt-oss-20b"}]}')
})
canary.on('connection', socket => connected.push(socket.localAddress))
await new Promise((resolve, reject) => {
  canary.once('error', reject).listen({host: '::', port: Number(canaryPort)}, resolve)
})

const listen = listeners.flatMap((address, at) => [at === 0 ? '--listen' : '--also-listen', address])
const server = spawn(process.execPath, [program, 'server', 'start', ...listen, '--data', data], {
  stdio: ['ignore', 'ignore', 'inherit'],
})
server.once('exit', code => process.exit(code ?? 1))

const actions = {
  call: ({from, to, port, method, path, headers, body}) =>
    new Promise((resolve, reject) => {
      const content = body === undefined ? undefined : JSON.stringify(body)
      const call = request({host: to, port, localAddress: from, method, path, agent: false, headers})
      if (content) call.setHeader('content-type', 'application/json')
      call.once('error', reject).once('response', async answer => {
        let text = ''
        for await (const piece of answer.setEncoding('utf8')) text += piece
        resolve({status: answer.statusCode, text})
      })
      call.end(content)
    }),
  /** Whether the canary can be reached at that address from here. */
  reach: ({address}) =>
    new Promise(resolve => {
      const socket = connect({host: address, port: Number(canaryPort)})
      socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
      socket.once('connect', () => socket.destroy())
    }),
  connections: async () => connected.splice(0),
  script: ({path}) =>
    new Promise(resolve => {
      execFile('bash', [path], (error, stdout, stderr) => resolve({code: error ? error.code : 0, stdout, stderr}))
    }),
}

for await (const line of createInterface({input: process.stdin})) {
  const {action, ...input} = JSON.parse(line)
  const answer = await actions[action](input).catch(error => ({error: String(error)}))
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
server.kill('SIGKILL')
