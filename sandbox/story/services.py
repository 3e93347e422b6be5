"""What FOCUS calls each provider's services: one category and subcategory per service name."""

from __future__ import annotations

EC2 = "Amazon Elastic Compute Cloud"
S3 = "Amazon Simple Storage Service"
RDS = "Amazon Relational Database Service"
CLOUDFRONT = "Amazon CloudFront"
BIGQUERY = "BigQuery"
OPENAI = "Azure OpenAI Service"

CATEGORIES = {
    "Amazon Elastic Compute Cloud": ("Compute", "Virtual Machines"),
    "AWS Savings Plans": ("Compute", "Other (Compute)"),
    "Amazon Virtual Private Cloud": ("Networking", "Network Infrastructure"),
    "Amazon Relational Database Service": ("Databases", "Relational Databases"),
    "Elastic Load Balancing": ("Networking", "Application Networking"),
    "AWS Data Transfer": ("Networking", "Network Infrastructure"),
    "Amazon CloudFront": ("Networking", "Content Delivery"),
    "Amazon Simple Storage Service": ("Storage", "Object Storage"),
    "AWS Lambda": ("Compute", "Serverless Compute"),
    "Amazon DynamoDB": ("Databases", "NoSQL Databases"),
    "Amazon ElastiCache": ("Databases", "Caching"),
    "AmazonCloudWatch": ("Management and Governance", "Observability"),
    "Amazon Simple Queue Service": ("Integration", "Messaging"),
    "AWS Key Management Service": ("Security", "Secret Management"),
    "AWS Backup": ("Storage", "Backup Storage"),
    "Amazon Redshift": ("Databases", "Data Warehouses"),
    "AWS Glue": ("Analytics", "Data Processing"),
    "Amazon Athena": ("Analytics", "Analytics Platforms"),
    "Amazon Kinesis": ("Analytics", "Streaming Analytics"),
    "AWS Support (Business)": ("Other", "Other (Other)"),
    "BigQuery": ("Analytics", "Analytics Platforms"),
    "Cloud Storage": ("Storage", "Object Storage"),
    "Cloud Pub/Sub": ("Integration", "Messaging"),
    "Cloud Composer": ("Analytics", "Data Processing"),
    "Compute Engine": ("Compute", "Virtual Machines"),
    "Cloud SQL": ("Databases", "Relational Databases"),
    "Networking": ("Networking", "Network Infrastructure"),
    "Cloud Run": ("Compute", "Serverless Compute"),
    "Cloud Logging": ("Management and Governance", "Observability"),
    "Vertex AI": ("AI and Machine Learning", "Machine Learning"),
    "Virtual Machines": ("Compute", "Virtual Machines"),
    "Azure SQL Database": ("Databases", "Relational Databases"),
    "Storage Accounts": ("Storage", "Object Storage"),
    "Azure Cosmos DB": ("Databases", "NoSQL Databases"),
    "Bandwidth": ("Networking", "Network Infrastructure"),
    "Azure Monitor": ("Management and Governance", "Observability"),
    "Managed Disks": ("Storage", "Block Storage"),
    "Azure OpenAI Service": ("AI and Machine Learning", "Generative AI"),
    "Cloud Compute": ("Compute", "Virtual Machines"),
    "Block Storage": ("Storage", "Block Storage"),
    "Reserved IPs": ("Networking", "Network Infrastructure"),
    "Load Balancers": ("Networking", "Application Networking"),
    "Snapshots": ("Storage", "Backup Storage"),
}
REGION_NAMES = {
    "eu-west-1": "EU (Ireland)",
    "europe-west1": "Belgium",
    "westeurope": "EU West",
    "fra": "Frankfurt",
    "ams": "Amsterdam",
    "waw": "Warsaw",
}
