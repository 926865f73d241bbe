refused-gap = 服务器上缺少它之前的变更
refused-fork = 这条链在别处有了另一个后续
refused-too-large = 它超过了服务器的长度上限
