import {Type} from 'typebox'
import type {User} from '../../../contract/schemas/auth.ts'
import {route} from '../../dialect.ts'
import {call, loginLife, seconds} from './call.ts'
import {identity, identityOf} from './wire.ts'

const WireUser = Type.Object({
  ...identity,
  username: Type.String(),
  userName: Type.String(),
  nickName: Type.String(),
  authorityId: Type.Integer(),
  enable: Type.Integer(),
})

function userToWire(user: User) {
  const {username, role, enabled} = user
  const authorityId = role === 'super_admin' ? 888 : 100
  return {...identityOf(user), username, userName: username, nickName: username, authorityId, enable: enabled ? 1 : 2}
}

/** Sections "认证相关" of document 002, and the doors beside it. */
export const baseRoutes = [
  call({
    method: 'POST',
    paths: ['/base/captcha'],
    access: 'public',
    summary: 'A picture of six digits for the next login, good for two minutes and one try.',
    said: '验证码获取成功',
    data: Type.Object({
      captchaId: Type.String(),
      picPath: Type.String({description: 'data: URL'}),
      captchaLength: Type.Integer(),
      openCaptcha: Type.Boolean({description: 'the next login from here needs it'}),
    }),
    async handle({asker, services}) {
      const {id, picture, length, isNeeded} = await services.auth.captcha(asker)
      return {captchaId: id, picPath: picture, captchaLength: length, openCaptcha: isNeeded}
    },
  }),
  call({
    method: 'POST',
    paths: ['/base/login'],
    access: 'public',
    summary: 'Log in for seven days; a captcha is asked for after three failures only.',
    said: '登录成功',
    body: Type.Object({
      username: Type.String({minLength: 1, maxLength: 256}),
      password: Type.String({minLength: 1, maxLength: 256}),
      captcha: Type.Optional(Type.String({maxLength: 64})),
      captchaId: Type.Optional(Type.String({maxLength: 64})),
    }),
    data: Type.Object({user: WireUser, token: Type.String(), expiresAt: Type.Integer({description: 'seconds'})}),
    async handle({body, asker, services}) {
      const {username, password, captcha: digits = '', captchaId: id = ''} = body
      const options = {ttlSeconds: loginLife.ttlSeconds, captcha: {id, digits}}
      const {user, token, expiresAt} = await services.auth.login({username, password}, asker, options)
      return {user: userToWire(user), token, expiresAt: seconds(expiresAt)}
    },
  }),
  route({
    method: 'GET',
    path: '/health',
    also: ['/api/v1/health'],
    access: 'public',
    summary: 'The server answers.',
    output: Type.Literal('ok'),
    handle: async () => 'ok',
  }),
  route({
    method: 'GET',
    path: '/api/v1/swagger/index.html',
    access: 'public',
    summary: 'Leads to the page of all routes.',
    handle: async ({reply}) => void reply.redirect('/swagger/'),
  }),
]
