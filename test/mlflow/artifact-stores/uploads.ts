// Looks into an S3 gateway for uploads that nobody completed and nobody freed.
import { ListMultipartUploadsCommand, S3Client } from "@aws-sdk/client-s3";
import type { Cloud } from "../../support/clouds.js";

/** How many there are. */
export async function openUploads(cloud: Cloud): Promise<number> {
  const { AWS_ACCESS_KEY_ID = "", AWS_SECRET_ACCESS_KEY = "" } = cloud.environment;
  const client = new S3Client({
    endpoint: cloud.address,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY },
  });
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: "bucket" }));
  client.destroy();
  return Uploads.length;
}
