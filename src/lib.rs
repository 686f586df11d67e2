//! Scopegate: clients that cannot sign S3 requests get exactly their own corner of a MinIO.
