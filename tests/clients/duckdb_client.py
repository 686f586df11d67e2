"""DuckDB's httpfs. With KEYS=none it does not sign."""

import glob
import os
import sys

import duckdb
import duckdb_ext

env = os.environ
scheme, host = env["ENDPOINT"].split("://")
# The extension comes from a package, so that DuckDB downloads none.
[extension] = glob.glob(os.path.join(list(duckdb_ext.__path__)[0], "extensions/*/*/httpfs.duckdb_extension"))
client = duckdb.connect()
client.execute(f"LOAD '{extension}'")
client.execute(f"SET ca_cert_file = '{env['CA']}'")
signs = env["KEYS"] != "none"
keys = f"KEY_ID '{env['AWS_ACCESS_KEY_ID']}', SECRET '{env['AWS_SECRET_ACCESS_KEY']}'," if signs else ""
client.execute(
    f"CREATE SECRET (TYPE s3, {keys} REGION 'us-east-1', ENDPOINT '{host}', URL_STYLE 'path',"
    f" USE_SSL {scheme == 'https'})"
)
# DuckDB only writes tables, so a file is one table of one column, written without quotes or separators.
RAW = "FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01'"


def put(file, key):
    client.execute(
        f"COPY (SELECT line FROM read_csv('{file}', header = false, columns = {{'line': 'VARCHAR'}}, quote = '',"
        f" escape = '', delim = '\x01', parallel = false)) TO 's3://tmp/{env['PREFIX']}{key}' ({RAW})"
    )


step = sys.argv[1]
if step == "get":
    [(content,)] = client.execute("SELECT content FROM read_blob('s3://tmp/inbox/hello.txt')").fetchall()
    with open(env["OUT"], "wb") as target:
        target.write(content)
elif step == "put":
    put(env["SMALL"], "small")
elif step == "large":
    put(env["LARGE"], "large")
elif step == "list":
    for (key,) in client.execute("SELECT file FROM glob('s3://tmp/inbox/many/*')").fetchall():
        print(key)
elif step == "delete":
    # DuckDB has no statement that deletes a file.
    sys.exit(4)
