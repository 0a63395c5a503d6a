"""What AWS writes down of an account: who is in it with which rights (IAM), and what was done (CloudTrail).

Guarantee of every module here: no network, and nothing raised for what a file says. Called by the kinds of sources
`aws_iam` and `cloudtrail`.
"""
