"""A bucket of a server that speaks S3: bucket.py ENDPOINT create NAME, or list NAME.

Lists as JSON: names of objects and their sizes.
"""

import json
import sys

import boto3

endpoint, order, name = sys.argv[1:4]
s3 = boto3.client(
    "s3",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="tests",
    aws_secret_access_key="tests",
)
if order == "create":
    s3.create_bucket(Bucket=name)
else:
    contents = s3.list_objects_v2(Bucket=name).get("Contents", [])
    print(json.dumps({item["Key"]: item["Size"] for item in contents}))
