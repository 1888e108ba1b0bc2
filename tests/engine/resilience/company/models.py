"""The users of a team that wants no numbers for them."""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class User(AbstractUser):
    """Django's, with another key."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
