// Where a MYSQL_URL leads and who logs in there, as the drivers want to be told.
const MYSQL_PORT = 3306;

export interface MysqlLogin {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}

export function mysqlLogin(mysqlUrl: string): MysqlLogin {
  const { hostname, port, username, password } = new URL(mysqlUrl);
  return {
    host: hostname,
    port: port === "" ? MYSQL_PORT : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
  };
}
