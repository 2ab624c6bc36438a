// The rights of config/access.ts in the words of the deployment files, which hold them a second time
// because containers are configured without the platform's code.
import { accessOf } from "../../config/access.ts";
import { ROLES } from "../../config/roles.ts";

type Role = keyof typeof ROLES;

/** The namespace of the containers' platform: the setting's default. */
const NAMESPACE = "shop";
export const DEPLOYED_ROLES = Object.keys(ROLES) as Role[];

/** The arguments that give a role its login at the containers' Redis. */
export function redisArguments(role: Role): readonly string[] {
  const password = `REDIS_${role.toUpperCase()}_PASSWORD`;
  return [
    "--user",
    role,
    "on",
    `>\${${password}:?set it in deploy/compose.env}`,
    ...accessOf(ROLES[role], NAMESPACE).redis,
  ];
}

const HEADER = `# The message server of docker-compose.yml: the operator's login and one per role, with the rights of
# config/access.ts. Passwords come from the environment. A test holds this file to that one.
`;

/** The whole of deploy/nats/nats.conf. */
export function natsConfig(): string {
  const users = DEPLOYED_ROLES.map(userOf).join("");
  const operator = "    { user: shop, password: $NATS_PASSWORD }\n";
  return `${HEADER}# Streams reserve the most they may hold; on a small disk the default would refuse them all.
jetstream { store_dir: "/data", max_file_store: 1TB }
http_port: 8222
authorization {
  users: [
${operator}${users}  ]
}
`;
}

function userOf(role: Role): string {
  const { publish, subscribe } = accessOf(ROLES[role], NAMESPACE);
  const list = (subjects: readonly string[]): string =>
    subjects.map((subject) => `          ${JSON.stringify(subject)}\n`).join("");
  return `    {
      user: ${role}
      password: $NATS_${role.toUpperCase()}_PASSWORD
      permissions: {
        publish: { allow: [
${list(publish)}        ] }
        subscribe: { allow: [
${list(subscribe)}        ] }
      }
    }
`;
}
