"""What administration scripts in the manner of pyviyatools do, with the headers and bodies that they send."""

import json
import sys

import requests

LIMIT = 2


def main(url, token):
    headers = {"authorization": f"Bearer {token}", "Accept": "application/json", "Content-type": "application/json"}

    def call(method, path, body=None, extra=None):
        # Every call is preceded by a look at who is calling, and carries a body, whatever the verb.
        who = requests.get(f"{url}/identities/users/@currentUser", headers=headers, timeout=60)
        assert who.status_code == 200, who.text
        return requests.request(
            method, f"{url}{path}", headers={**headers, **(extra or {})}, data=json.dumps(body or {}), timeout=20
        )

    for number in range(5):
        body = {"name": f"old {number}", "jobDefinition": {"type": "AnalyticsFlow", "code": ""}}
        assert call("post", "/jobExecution/jobRequests", body).status_code == 201
        assert call("post", "/jobExecution/jobs", body).status_code == 201

    changed = set()
    path = f"/jobExecution/jobRequests?&filter=isNull(expiresAfter)&limit={LIMIT}"
    for item in walk(call, path):
        found = call("get", f"/jobExecution/jobRequests/{item['id']}")
        kept = found.json()
        for name in ("links", "createdBy", "creationTimeStamp", "modifiedBy", "modifiedTimeStamp", "version"):
            kept.pop(name)
        kept["expiresAfter"] = "PT72H"
        put = call("put", f"/jobExecution/jobRequests/{item['id']}", kept, {"If-Match": found.headers["Etag"]})
        assert put.status_code == 200, put.text
        changed.add(item["id"])
    left = call("get", "/jobExecution/jobRequests?filter=not(eq(expiresAfter,PT72H))").json()["count"]

    deleted = set()
    old = "and(isNull(expirationTimeStamp),startsWith(name,'old '))"
    for item in walk(call, f"/jobExecution/jobs?&filter={old}&limit={LIMIT}"):
        assert call("delete", f"/jobExecution/jobs/{item['id']}").status_code == 204
        deleted.add(item["id"])
    print(json.dumps({"changed": len(changed), "left": left, "deleted": len(deleted)}))


def walk(call, path):
    """All items: pages are gathered first, because what is done with an item takes it out of the list."""
    items = []
    while path:
        page = call("get", path).json()
        items += page["items"]
        path = next((link["href"] for link in page["links"] if link["rel"] == "next"), None)
    return items


main(*sys.argv[1:])
